"""The image of every job and of the endpoint: given by name, or built in the cloud."""

"""Serving: SageMaker's four functions for one photo, and the server that calls them; travels inside the artifact."""

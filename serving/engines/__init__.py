"""Ways to run the network of an artifact, and the choice among them."""

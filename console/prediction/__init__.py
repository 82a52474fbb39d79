"""Predictions: of single photos by the deployed API, of folders by the model itself."""

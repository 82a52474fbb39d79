"""Deletes an endpoint that nobody uses, after a notice."""

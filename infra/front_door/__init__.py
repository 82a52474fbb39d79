"""The API that users call, and beside it its runtime."""

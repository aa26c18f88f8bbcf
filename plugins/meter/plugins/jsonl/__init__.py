"""A JSON Lines file of every value."""

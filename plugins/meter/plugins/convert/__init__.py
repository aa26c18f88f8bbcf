"""Other units."""

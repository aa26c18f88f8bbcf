"""A CSV file of every value."""

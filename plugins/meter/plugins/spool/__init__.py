"""A folder of what outputs could not deliver."""

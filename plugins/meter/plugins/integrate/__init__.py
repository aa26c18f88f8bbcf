"""Energy of power."""

"""The latest values on the terminal."""

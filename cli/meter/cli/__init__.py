"""The `meter` command: parses, calls, renders, exits."""

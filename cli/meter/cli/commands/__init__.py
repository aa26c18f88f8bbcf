"""One module for each group of commands, imported when it is called."""

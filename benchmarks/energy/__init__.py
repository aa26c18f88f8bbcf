"""Tools that tell joules: each is a module that measures a window and says what its user would be shown."""

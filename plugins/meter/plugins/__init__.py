"""The built-in plugins: one folder each, with its contract, its code and its README."""

"""Replacement: whether a new version of a contract may take the place of an old one."""

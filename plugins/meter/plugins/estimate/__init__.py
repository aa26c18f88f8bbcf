"""Estimated energy of processors."""

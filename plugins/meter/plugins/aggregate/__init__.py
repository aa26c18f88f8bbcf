"""Sums, means and the like, of several series and over windows of time."""

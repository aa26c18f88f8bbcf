"""Deltas of counters."""

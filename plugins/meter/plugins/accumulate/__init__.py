"""Counters of deltas."""

"""Rates of deltas and counters."""

"""Gauges without repetitions."""

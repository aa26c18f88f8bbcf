"""Dropping metrics."""

"""Energy above an idle baseline."""

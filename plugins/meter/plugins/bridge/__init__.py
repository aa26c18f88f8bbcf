"""From processes to the control groups that they are in."""

"""Load averages of the machine, from /proc/loadavg."""

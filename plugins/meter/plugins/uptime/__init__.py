"""How long the machine has been running, from /proc/uptime."""

"""Memory of the machine, from /proc/meminfo."""

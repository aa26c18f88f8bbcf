"""Page faults and swap, from /proc/vmstat and /proc/meminfo."""

"""Traffic of block devices, from /proc/diskstats."""

"""Traffic of network interfaces, from /proc/net/dev."""

"""Time of the CPU cores by mode, from /proc/stat."""

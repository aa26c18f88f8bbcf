"""What the scheduler of the kernel did, from /proc/stat."""

"""Time in which tasks waited for CPU, memory and storage, from /proc/pressure."""

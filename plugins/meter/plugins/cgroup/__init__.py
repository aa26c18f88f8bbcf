"""CPU time, memory, swap, disk traffic, threads and pressure of control groups, from /sys/fs/cgroup."""

"""CPU time, memory, threads and disk traffic of chosen processes, from /proc/PID."""

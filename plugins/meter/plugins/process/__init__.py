"""CPU time, memory, threads, files, faults, switches and traffic of chosen processes, from /proc/PID."""

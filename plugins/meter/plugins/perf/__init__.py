"""Events of processors and of the kernel, by perf_event_open(2)."""

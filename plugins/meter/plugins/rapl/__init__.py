"""The source `rapl`: energy of processors from their own counters."""

"""The source `nvml`: NVIDIA GPUs by their driver's library."""

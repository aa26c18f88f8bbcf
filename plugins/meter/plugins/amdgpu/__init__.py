"""AMD GPUs from the files of the kernel's driver: energy, power, utilization, memory, temperatures, clocks."""

"""Frequencies of CPUs with their limits, governors and drivers, from /sys/devices/system/cpu/cpufreq."""

"""Sensors of the hardware monitors: power, energy, temperature, voltage, current and fans, from /sys/class/hwmon."""

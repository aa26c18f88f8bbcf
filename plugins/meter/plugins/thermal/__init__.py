"""Temperatures of the thermal zones, from /sys/class/thermal."""

"""Batteries and adapters, from /sys/class/power_supply: charge, energy, power, voltage, state."""

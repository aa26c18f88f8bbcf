"""Formulas over metrics, such as the energy of a process."""

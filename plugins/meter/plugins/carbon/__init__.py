"""Carbon dioxide of energy."""

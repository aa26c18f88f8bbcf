"""A random number at each poll: the example that the tutorial builds."""

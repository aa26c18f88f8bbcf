"""Formulas: their text, what they give, and the rules that compute them."""

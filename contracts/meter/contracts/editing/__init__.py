"""Edits: what was meant, and the changes of a text that mend a diagnostic."""

"""What was measured, in memory."""

"""More attributes."""

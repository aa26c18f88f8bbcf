"""Space of the mounted file systems, from statvfs(3)."""

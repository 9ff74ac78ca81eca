"""Who computes a mode, and how: see README.md here for a backend in five steps."""

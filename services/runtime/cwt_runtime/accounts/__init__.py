"""Access control on a shared bus: users, permissions, and the configuration of the server."""

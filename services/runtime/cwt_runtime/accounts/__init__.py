"""Who may do what on a shared bus: users and their permissions, and the server's configuration."""

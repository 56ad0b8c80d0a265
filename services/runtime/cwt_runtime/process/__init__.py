"""The life of a service process: start, signals, and end."""

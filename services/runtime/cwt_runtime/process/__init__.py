"""Life cycle of a service process: start, signals, shutdown."""

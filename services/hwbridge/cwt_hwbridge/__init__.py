"""The hardware bridge, which opens only the configured serial ports."""

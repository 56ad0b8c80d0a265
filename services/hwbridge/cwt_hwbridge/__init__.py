"""The hardware bridge: it owns the serial ports it was given, and no others."""

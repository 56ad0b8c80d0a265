"""Devices behind the bridge: calls to them, and plans of their computations."""

"""Compute live results from the windows of the window queue."""

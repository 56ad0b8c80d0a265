"""Analysis windows to live results: this worker's share of the window queue."""

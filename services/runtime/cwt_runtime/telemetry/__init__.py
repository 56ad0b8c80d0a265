"""What a service reports about itself: structured logs and metrics."""

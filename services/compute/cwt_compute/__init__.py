"""Compute workers, which turn analysis windows, queries and jobs into results."""

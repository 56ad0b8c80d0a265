"""Compute workers: from analysis windows, queries and jobs to results."""

"""Benchmarks of this project and of its peers, measured in the same run."""

"""Benchmarks of the live path: real processes around an embedded server with file storage."""

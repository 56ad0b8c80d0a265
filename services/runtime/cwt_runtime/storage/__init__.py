"""Streams, queues and buckets of the system, and reliable publishing to them."""

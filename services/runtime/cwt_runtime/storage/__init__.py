"""Streams, queues and buckets, and how a message is stored for certain."""

"""The processes of the system: ingest, compute, hwbridge, and the runtime they share."""

"""The live path, measured: real processes, one embedded server, files for storage."""

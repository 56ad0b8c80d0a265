"""The design as a device without a board: it runs in a simulator, behind a pseudo-terminal."""

"""Run the design in a simulator behind a pseudo-terminal, as a device without a board."""

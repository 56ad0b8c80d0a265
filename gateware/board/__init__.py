"""The design for the Tang Nano 9K: ``python -m gateware.board`` makes its bitstream."""

"""The design for the Tang Nano 9K: ``python -m cwt_gateware.board`` makes its bitstream."""

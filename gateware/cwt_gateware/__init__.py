"""The design for the FPGA, in Amaranth: what `docs/hardware-link.md` specifies."""

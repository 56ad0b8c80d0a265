"""The FPGA design in Amaranth, as specified in `docs/hardware-link.md`."""

"""Plans for devices, and the arithmetic of ``docs/hardware-link.md`` written out slowly."""

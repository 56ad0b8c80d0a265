"""The command `pycwt-mod`: start the system, feed it, watch it, show it."""

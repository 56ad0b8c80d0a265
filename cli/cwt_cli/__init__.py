"""The command `pycwt-mod`: start the system, publish signals, show results."""

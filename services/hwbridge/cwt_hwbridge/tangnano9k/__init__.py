"""The Tang Nano 9K with this project's gateware, or a simulation of it, on a serial line."""

from cwt_hwbridge.tangnano9k.driver import TangNanoDriver

__all__ = ["TangNanoDriver"]

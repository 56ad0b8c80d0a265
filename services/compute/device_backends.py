"""Import path that installed entry points of 0.1 name; the backends are in `devices`."""

from services.compute.devices.backends import Elm11Backend, TangNanoBackend

__all__ = ["Elm11Backend", "TangNanoBackend"]

"""What every service shares: the bus, request and reply, the process, storage, and devices.

Which bus a process uses is decided in a service's ``__main__`` and in the command line alone.
"""

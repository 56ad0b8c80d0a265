"""Code shared by the services: bus, request and reply, process life cycle, storage, devices.

Only a service's ``__main__`` and the command line decide which bus a process uses.
"""

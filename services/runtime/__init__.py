"""The shell that every service shares: bus, lifecycle, settings, retry, logs, endpoints.

`bus` says what a bus promises; `nats_bus` keeps the promise over NATS and `memory_bus` inside one
process. Which of the two runs is chosen in a service's ``__main__`` and in the command line alone.
"""

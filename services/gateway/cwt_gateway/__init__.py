"""HTTP, WebSocket and the live page: the functions of the bus for browsers and HTTP clients."""

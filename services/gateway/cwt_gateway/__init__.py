"""HTTP, WebSocket and the live page: what the bus offers, for browsers and HTTP clients."""

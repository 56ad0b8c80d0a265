"""Request and reply: endpoints, the service that answers them, and what a request is allowed."""

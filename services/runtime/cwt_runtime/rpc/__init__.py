"""Request and reply: endpoints, the service that answers them, and admission of requests."""

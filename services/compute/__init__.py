"""From analysis windows and questions to results: the workers."""

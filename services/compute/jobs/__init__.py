"""Jobs: many analyses, kept, spread over all workers, and each computed once in effect."""

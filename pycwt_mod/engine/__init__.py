"""How rows of transforms are computed. Private: the functions above it are what to call."""

"""Monte Carlo on the bridge's devices, and what a worker can compute on."""

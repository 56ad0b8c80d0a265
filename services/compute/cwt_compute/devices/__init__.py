"""Monte Carlo backends on devices of the bridge, and the hardware report of a worker."""

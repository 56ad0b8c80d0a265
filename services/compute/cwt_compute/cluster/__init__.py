"""Monte Carlo over all workers: tasks out over the bus, histograms back, in the tasks' order."""

from cwt_compute.cluster.backend import ClusterBackend

__all__ = ["ClusterBackend"]

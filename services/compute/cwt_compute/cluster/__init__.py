"""Monte Carlo simulation on all workers: tasks are sent over the bus, histograms returned."""

from cwt_compute.cluster.backend import ClusterBackend

__all__ = ["ClusterBackend"]

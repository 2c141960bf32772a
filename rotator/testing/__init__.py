"""Shipped with the product: the simulated PVE, the backend contract suite, fault-injecting wrappers."""

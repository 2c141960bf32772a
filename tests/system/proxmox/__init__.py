"""The script for PVE, run by a shell against the simulated PVE."""

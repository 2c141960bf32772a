"""Rotate Proxmox VE API tokens without ever breaking a consumer."""

__version__ = "0.1.0"

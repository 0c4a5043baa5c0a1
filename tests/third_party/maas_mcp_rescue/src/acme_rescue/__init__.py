"""Rescue mode for MAAS machines."""

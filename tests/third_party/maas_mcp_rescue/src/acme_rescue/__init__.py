"""Rescue mode for machines of MAAS."""

"""The changes as requests to MAAS. Only calls need them, so the first call of a tool imports its module."""

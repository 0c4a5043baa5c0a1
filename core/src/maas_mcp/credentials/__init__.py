"""The regions of the local user, with the sources of their URLs and MAAS API keys."""

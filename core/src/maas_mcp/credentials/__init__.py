"""The regions of the local user: where their URLs and MAAS API keys come from."""

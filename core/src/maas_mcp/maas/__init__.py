"""Speaking to a MAAS region; knows nothing of MCP or plugins."""

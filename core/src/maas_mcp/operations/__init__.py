"""Start, follow and abort long-running operations in MAAS. Uses maas/, independent of MCP."""

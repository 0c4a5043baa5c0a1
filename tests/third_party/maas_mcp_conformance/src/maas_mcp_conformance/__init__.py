"""The fixtures of the MCP conformance suite as plugins of maas-mcp."""

"""Speaking MCP; the top of the house."""

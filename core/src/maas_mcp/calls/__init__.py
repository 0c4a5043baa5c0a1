"""What happens to every call of a tool, whichever way it comes in. Knows nothing of MCP."""

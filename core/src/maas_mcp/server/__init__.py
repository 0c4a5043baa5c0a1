"""The MCP server, the top layer of the package."""

"""Finding and holding plugins; knows the hookspecs and the API, not MCP."""

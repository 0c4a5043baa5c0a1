"""Discovery and registry of plugins. It knows the hookspecs and the API, but not MCP."""

"""Following something in MAAS until it ends; knows maas/, not MCP."""

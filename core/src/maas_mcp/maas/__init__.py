"""The MAAS API client. It knows neither MCP nor plugins."""

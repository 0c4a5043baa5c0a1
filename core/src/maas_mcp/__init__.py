"""maas-mcp: a pluggable MCP server for Canonical MAAS."""

__version__ = "0.1.0"

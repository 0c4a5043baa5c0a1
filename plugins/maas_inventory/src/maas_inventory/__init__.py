"""maas-mcp's plugin for finding and reading machines."""

"""maas-mcp's plugin for commissioning machines."""

"""maas-mcp's plugin for deploying and releasing machines."""

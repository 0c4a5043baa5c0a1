"""The maas-mcp plugin that commissions, tests and rescues machines, and marks them broken or fixed."""

"""The maas-mcp plugin that allocates, deploys, powers, locks, aborts and releases machines."""

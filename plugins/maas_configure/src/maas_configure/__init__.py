"""The maas-mcp plugin that edits, tags, adds and deletes machines, and configures their power, network and storage."""

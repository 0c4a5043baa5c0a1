"""What authors of plugins subclass or call: tools, operations and changes."""

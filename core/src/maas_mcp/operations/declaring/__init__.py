"""Base classes and functions for plugin authors: tools, operations and changes."""

"""The tools that read machines: lists of them, one of them, and what changed."""

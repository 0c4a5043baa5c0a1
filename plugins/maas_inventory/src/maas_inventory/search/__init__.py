"""One search over machines and all other objects."""

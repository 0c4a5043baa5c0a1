"""The HTTP API of the simulated region, with MAAS's responses."""

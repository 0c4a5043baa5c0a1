"""Groups of machines, each of which the engine runs by itself."""

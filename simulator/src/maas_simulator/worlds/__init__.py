"""Builds regions: from a world file, ready-made, or with any number of machines."""

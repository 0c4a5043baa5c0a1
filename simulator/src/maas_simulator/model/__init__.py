"""The model of a region: machines, scripts, events, images, networks, users and time."""

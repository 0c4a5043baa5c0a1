"""What a simulated region consists of: machines, scripts, events, images, networks, users and time."""

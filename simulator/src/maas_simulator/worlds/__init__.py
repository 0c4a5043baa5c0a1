"""How a simulated region comes about: from a file, ready made, or as many machines as wanted."""

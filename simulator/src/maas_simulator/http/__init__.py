"""The simulated region over HTTP: its API, answered as MAAS answers."""

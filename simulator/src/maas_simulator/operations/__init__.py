"""What simulated machines do: the operations of MAAS, at once and over time."""

"""``python -m maas_simulator``."""

from maas_simulator.cli import main

main()

"""``python -m maas_mcp``: the command line."""

from maas_mcp.cli import main

main(prog_name="maas-mcp")

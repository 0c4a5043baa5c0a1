"""``maas-mcp logout``: removes the MAAS API key of a principal from the vault."""

import click

from maas_mcp.cli.common import EXIT_CODES, print_text
from maas_mcp.settings import Settings


@click.command("logout", epilog=EXIT_CODES)
@click.argument("name")
@click.option(
    "--issuer",
    metavar="URL",
    help="The OAuth issuer of NAME. By default, NAME is the name of a token of `maas-mcp token`.",
)
def command(*, name: str, issuer: str | None) -> None:
    """Remove the MAAS API key of an HTTP principal from the vault.

    A running server refuses the principal at once. MAAS still accepts the key: delete it there as well.
    """
    from maas_mcp.access.callers import KeyOwner  # noqa: PLC0415 - cryptography takes long, and --help does not need it
    from maas_mcp.cli.vault import required_vault  # noqa: PLC0415 - as above

    owner = KeyOwner(name, issuer)
    required_vault(Settings.load()).remove(owner)
    print_text(f"Removed the MAAS API key of {owner} from the vault.")

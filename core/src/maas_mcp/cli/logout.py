"""``maas-mcp logout``: removes a login of the local user, or the MAAS API key of a principal from the vault."""

import click

from maas_mcp.cli.common import EXIT_CODES, print_text
from maas_mcp.settings import Settings


@click.command("logout", epilog=EXIT_CODES)
@click.argument("name", required=False)
@click.option("--profile", metavar="PROFILE", help="Name of the login to remove. By default the only one.")
@click.option(
    "--issuer",
    metavar="URL",
    help="The OAuth issuer of NAME. By default, NAME is the name of a token of `maas-mcp token`.",
)
def command(*, name: str | None, profile: str | None, issuer: str | None) -> None:
    """Remove your login to a MAAS region, or the API key of a principal.

    With NAME, removes the key of this principal from the vault, and a running server refuses the principal at once.
    Without NAME, removes your own login, which a running server uses until it stops. MAAS still accepts the key: delete
    it there as well.
    """
    if name is None:
        if issuer is not None:
            raise click.UsageError("Missing argument 'NAME'.")
        from maas_mcp.cli.local_login import log_out  # noqa: PLC0415 - an event loop, which --help does not need

        log_out(Settings.load(), profile)
        return
    if profile is not None:
        raise click.UsageError("--profile is for your own login, which has no NAME.")
    from maas_mcp.access.callers import KeyOwner  # noqa: PLC0415 - cryptography takes long, and --help does not need it
    from maas_mcp.cli.vault import required_vault  # noqa: PLC0415 - as above

    owner = KeyOwner(name, issuer)
    required_vault(Settings.load()).remove(owner)
    print_text(f"Removed the MAAS API key of {owner} from the vault.")

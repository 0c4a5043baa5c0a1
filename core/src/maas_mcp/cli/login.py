"""``maas-mcp login``: logs the local user in, or stores the MAAS API key of an HTTP principal in the vault."""

import sys

import click

from maas_mcp.cli.common import EXIT_CODES, print_text
from maas_mcp.settings import Settings


@click.command("login", epilog=EXIT_CODES)
@click.argument("name", required=False)
@click.option("--url", metavar="URL", help="URL of the region. By default MAAS_URL, or a prompt.")
@click.option("--username", metavar="USER", help="MAAS user whose password is read. By default, an API key is read.")
@click.option(
    "--profile",
    metavar="PROFILE",
    help="Name of the login, for MAAS_MCP_PROFILES. By default the host of the region.",
)
@click.option(
    "--issuer",
    metavar="URL",
    help="The OAuth issuer of NAME. By default, NAME is the name of a token of `maas-mcp token`.",
)
@click.option("--list", "listing", is_flag=True, help="List the logins, and the names in the vault, with MAAS users.")
def command(
    *, name: str | None, url: str | None, username: str | None, profile: str | None, issuer: str | None, listing: bool
) -> None:
    """Log in to a MAAS region, or store the API key of an HTTP principal.

    Reads the password or API key from a prompt or from standard input, and checks that MAAS accepts it. Stores the API
    key in the keyring of the operating system if maas-mcp-core[keyring] is installed, and otherwise in a file that only
    you can read. `maas-mcp serve` then needs no other settings.

    With NAME, stores the API key of this principal in the vault. MAAS_MCP_VAULT and its key must be set. A running
    server uses the key at once.
    """
    settings = Settings.load()
    if listing:
        _list(settings)
    elif name is not None:
        if username is not None or profile is not None:
            raise click.UsageError("--username and --profile are for your own login, which has no NAME.")
        _store_in_vault(settings, name, url, issuer)
    elif issuer is not None:
        raise click.UsageError("Missing argument 'NAME'.")
    else:
        from maas_mcp.cli.local_login import log_in  # noqa: PLC0415 - an event loop, which --help does not need

        log_in(settings, url=url, username=username, profile=profile)


def _list(settings: Settings) -> None:
    from maas_mcp.cli.local_login import list_logins  # noqa: PLC0415 - as above

    list_logins(settings)
    if settings.vault is not None:
        from maas_mcp.cli.vault import required_vault  # noqa: PLC0415 - as below

        for entry in required_vault(settings).entries():
            print_text(f"{entry.owner}: {entry.username} at {entry.region} (since {entry.stored})")


def _store_in_vault(settings: Settings, name: str, url: str | None, issuer: str | None) -> None:
    from maas_mcp.access.callers import KeyOwner  # noqa: PLC0415 - cryptography takes long, and --help does not need it
    from maas_mcp.access.tokens import check_name  # noqa: PLC0415 - as above
    from maas_mcp.cli.local_login import read_key, whose_key  # noqa: PLC0415 - as above
    from maas_mcp.cli.vault import required_vault  # noqa: PLC0415 - as above

    vault = required_vault(settings)
    if url is None and settings.maas_url is None and sys.stdin.isatty():
        url = click.prompt("URL of the MAAS region", err=True)
    if url is not None:
        settings = Settings.load(maas_url=url)
    if issuer is None:
        check_name(name)
    region = settings.anonymous_region()  # fail before the user types the key
    key = read_key(f"MAAS API key of {name}")
    username = whose_key(region, key)
    vault.store(KeyOwner(name, issuer), key, region=region.api_url, username=username)
    print_text(f"Stored the MAAS API key of {KeyOwner(name, issuer)}: {username} at {region.api_url}")

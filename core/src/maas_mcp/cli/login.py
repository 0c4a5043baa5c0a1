"""``maas-mcp login``: stores the MAAS API key of a principal in the vault."""

import sys
from functools import partial

import click

from maas_mcp.cli.common import EXIT_CODES, print_text
from maas_mcp.errors import MaasAuthError, SettingsError
from maas_mcp.maas.address import KEY_HINT, ApiKey, RegionAccess
from maas_mcp.settings import Settings

LONGEST_INPUT = 4096
"""Maximum characters of the key on standard input."""


@click.command("login", epilog=EXIT_CODES)
@click.argument("name", required=False)
@click.option(
    "--issuer",
    metavar="URL",
    help="The OAuth issuer of NAME. By default, NAME is the name of a token of `maas-mcp token`.",
)
@click.option("--list", "listing", is_flag=True, help="List the names in the vault with their MAAS users.")
def command(*, name: str | None, issuer: str | None, listing: bool) -> None:
    """Store the MAAS API key of an HTTP principal in the vault.

    Reads the key from a prompt or from standard input, and checks that MAAS accepts it. MAAS_MCP_VAULT and its key must
    be set. A running server uses the key at once.
    """
    from maas_mcp.access.callers import KeyOwner  # noqa: PLC0415 - cryptography takes long, and --help does not need it
    from maas_mcp.access.tokens import check_name  # noqa: PLC0415 - as above
    from maas_mcp.cli.vault import required_vault  # noqa: PLC0415 - as above

    settings = Settings.load()
    vault = required_vault(settings)
    if listing:
        for entry in vault.entries():
            print_text(f"{entry.owner}: {entry.username} at {entry.region} (since {entry.stored})")
        return
    if not name:
        raise click.UsageError("Missing argument 'NAME'.")
    if settings.maas_url is None and sys.stdin.isatty():
        settings = Settings.load(maas_url=click.prompt("URL of the MAAS region", err=True))
    if issuer is None:
        check_name(name)
    region = settings.anonymous_region()  # fail before the user types the key
    key = _read_key(name)
    username = _username(settings.require_region(key))
    vault.store(KeyOwner(name, issuer), key, region=region.api_url, username=username)
    print_text(f"Stored the MAAS API key of {KeyOwner(name, issuer)}: {username} at {region.api_url}")


def _read_key(name: str) -> ApiKey:
    """Read the key without showing it. Other users of the machine could see an argument."""
    if sys.stdin.isatty():
        text: str = click.prompt(f"MAAS API key of {name}", hide_input=True, err=True)
    else:
        text = sys.stdin.readline(LONGEST_INPUT)
    if not text.strip():
        raise SettingsError("There is no MAAS API key on standard input.", hint=KEY_HINT)
    try:
        return ApiKey.parse(text)
    except SettingsError as error:
        problem = error.message.replace("MAAS_API_KEY", "The input")
        hint = error.hint
    raise SettingsError(problem, hint=hint)


def _username(region: RegionAccess) -> str:
    """Ask MAAS whose key it is. An error says why the key cannot be used."""
    from maas_mcp.cli.interrupt import run  # noqa: PLC0415 - only needed for the request
    from maas_mcp.maas.connection import connect  # noqa: PLC0415 - as above
    from maas_mcp.proxies import with_proxy  # noqa: PLC0415 - as above

    async def whoami(region: RegionAccess) -> str:
        maas = connect(region)
        try:
            return (await maas.once().whoami()).username
        except MaasAuthError as error:
            raise MaasAuthError(error.message, hint=f"Nothing was stored. {KEY_HINT}") from None
        finally:
            await maas.aclose()

    return run(partial(whoami, with_proxy(region)))

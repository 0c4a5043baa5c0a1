"""``maas-mcp token``: the tokens of HTTP clients."""

import click

from maas_mcp.access.tokens import TokenFile
from maas_mcp.calls.principal import Scope
from maas_mcp.cli.common import EXIT_CODES, print_text
from maas_mcp.errors import SettingsError
from maas_mcp.settings import Settings


@click.group("token", epilog=EXIT_CODES)
def command() -> None:
    """Create, list and revoke the tokens of HTTP clients.

    The file that MAAS_MCP_HTTP_TOKENS names stores their hashes. A running server applies each change at once.
    """


@command.command("new")
@click.argument("name")
@click.option(
    "--scopes",
    default=Scope.READ.value,
    show_default=True,
    metavar="SCOPE,...",
    help="Scopes of the token: maas:read, maas:operate (includes read) or maas:destroy (includes both).",
)
def new(name: str, scopes: str) -> None:
    """Create a token for NAME, and print it once."""
    token = _file().add(name, [_scope(each.strip()) for each in scopes.split(",")])
    click.echo(token)
    print_text("Store the token now. It is not shown again.", err=True)


@command.command("list")
def listing() -> None:
    """List the names that have a token, with their scopes."""
    for each in _file().tokens().values():
        print_text(f"{each.name}: {', '.join(sorted(each.scopes))} (since {each.created})")


@command.command("revoke")
@click.argument("name")
def revoke(name: str) -> None:
    """Revoke the token of NAME."""
    _file().remove(name)
    print_text(f"The token of {name} is revoked.")


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a scope: expected {', '.join(Scope)}.") from None


def _file() -> TokenFile:
    path = Settings.load().http_tokens
    if path is None:
        raise SettingsError(
            "MAAS_MCP_HTTP_TOKENS is not set.", hint="Set it to the path of the file that holds the tokens."
        )
    return TokenFile(path)

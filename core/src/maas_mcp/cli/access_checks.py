"""The doctor's checks of access over HTTP: tokens, issuers, and the MAAS API keys of principals."""

from functools import partial
from typing import TYPE_CHECKING

from maas_mcp.cli.findings import Finding, Mark, Report
from maas_mcp.cli.interrupt import run
from maas_mcp.errors import SettingsError
from maas_mcp.settings import Settings

if TYPE_CHECKING:
    from maas_mcp.access.configuration import HttpAccess, OAuthSettings


def check_access(report: Report, settings: Settings) -> bool:
    """Check access over HTTP, if the settings have any. Returns whether each principal has its own MAAS API key."""
    from maas_mcp.access.configuration import HttpAccess  # noqa: PLC0415 - an HTTP client, which --help does not need

    try:
        access = HttpAccess.from_settings(settings)
    except SettingsError as error:
        report.error("HTTP access", error)
        return False
    if access is None:
        return False
    _check_files(report, access, settings)
    if access.oauth is not None:
        run(partial(_check_issuers, report, access.oauth))
    return True


def _check_files(report: Report, access: "HttpAccess", settings: Settings) -> None:
    from maas_mcp.access.keys import KeyFile  # noqa: PLC0415 - with HttpAccess
    from maas_mcp.access.tokens import TokenFile  # noqa: PLC0415 - with HttpAccess

    try:
        if access.tokens is not None:
            count = len(TokenFile(access.tokens).tokens())
            report.add(Finding(Mark.PASSED, "HTTP tokens", f"{count} in {access.tokens}"))
        if access.keys is not None:
            count = len(KeyFile(access.keys).owners())
            report.add(Finding(Mark.PASSED, "MAAS API keys", f"{count} in {access.keys}"))
        if access.vault is not None:
            count = len(access.vault.entries())
            report.add(Finding(Mark.PASSED, "MAAS API keys", f"{count} in the vault {settings.vault}"))
    except SettingsError as error:
        report.error("HTTP access", error)


async def _check_issuers(report: Report, oauth: "OAuthSettings") -> None:
    """Read the keys of each issuer, as the server does when the first token arrives."""
    from maas_mcp.access.issuer import IssuerError, metadata_urls, read_keys  # noqa: PLC0415 - with HttpAccess

    for issuer in oauth.issuers:
        try:
            await read_keys(issuer, oauth.ca_bundle)
        except IssuerError as error:
            hint = f"Open {metadata_urls(issuer)[1]} from this machine. It must show the issuer {issuer}."
            report.add(Finding(Mark.FAILED, "Issuer", str(error), hint))
        else:
            report.add(Finding(Mark.PASSED, "Issuer", f"{issuer} has keys that can be used"))

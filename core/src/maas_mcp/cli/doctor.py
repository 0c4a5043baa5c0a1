"""``maas-mcp doctor``: checks everything that a call needs, in the order in which it is needed."""

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar
from urllib.parse import urlsplit

import anyio
import click

from maas_mcp.cli.common import EXIT_FAILURE, say
from maas_mcp.cli.interrupt import run
from maas_mcp.cli.plugins import installed
from maas_mcp.errors import MaasError, MaasMcpError, MaasUnavailableError, SettingsError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.versions import release_of
from maas_mcp.plugins.registry import PluginState
from maas_mcp.settings import RegionSettings, Settings, config_file, is_loopback

T = TypeVar("T")

PATIENCE: Final = 15.0
"""Seconds that one answer may take."""
OLDEST: Final = (3, 3)
NEWEST: Final = (3, 8)
"""The MAAS releases whose API this project was checked against."""


class Mark(Enum):
    """What a check came to."""

    GOOD = ("✓", "green")
    DOUBTFUL = ("!", "yellow")
    BAD = ("✗", "red")
    SKIPPED = ("-", "bright_black")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    mark: Mark
    what: str
    detail: str
    hint: str | None = None


@click.command("doctor", epilog="Exit codes: 0 all is well; 1 a check has failed; 2 wrong usage.")
def command() -> None:
    """Check that everything needed is in place.

    Looks at the settings, the region, its certificate and version, the API key and what it may do, and the plugins,
    and says what to do about each fault. It only reads, and never shows a secret. Exits with 1 if any check failed.
    """
    report = Report()
    run(lambda: examine(report))
    sys.exit(report.conclude())


class Report:
    """Prints findings as they are made, and counts the bad ones."""

    def __init__(self) -> None:
        self.bad = 0

    def add(self, finding: Finding) -> None:
        """Print one finding."""
        self.bad += finding.mark is Mark.BAD
        sign, color = finding.mark.value
        say(f"{sign} {finding.what}: {_one_line(finding.detail)}", indent="  ", mark=color)
        if finding.hint:
            say(f"  {_one_line(finding.hint)}")

    def skip(self, *names: str) -> None:
        """Say that checks were not made because an earlier one failed."""
        for name in names:
            self.add(Finding(Mark.SKIPPED, name, "not checked"))

    def error(self, what: str, error: MaasMcpError) -> None:
        """Print a check that ended in an error."""
        self.add(Finding(Mark.BAD, what, error.message, error.hint))

    def conclude(self) -> int:
        """Print the last line; returns the exit code."""
        if self.bad:
            click.echo(f"\n{self.bad} {'check' if self.bad == 1 else 'checks'} failed.")
            return EXIT_FAILURE
        click.echo("\nAll is well.")
        return 0


async def examine(report: Report) -> None:
    """Make every check that can be made."""
    region = check_settings(report)
    if region is None:
        report.skip("Region", "Version", "API key", "Machines", "Events")
    else:
        await check_region(report, region)
    check_plugins(report)


def check_settings(report: Report) -> RegionSettings | None:
    """Whether there are an address and a key to use."""
    try:
        settings = Settings.load()
        region = settings.require_region()
        file = config_file()
    except SettingsError as error:
        report.error("Settings", error)
        return None
    source = f"; settings from {file}" if file else ""
    bundle = f"; certificates from {region.ca_bundle}" if region.ca_bundle else ""
    report.add(Finding(Mark.GOOD, "Settings", f"{region.api_url} with an API key of three parts{bundle}{source}"))
    if region.api_url.startswith("http://") and not is_loopback(urlsplit(region.api_url).hostname or ""):
        detail = "http:// to another host: whoever can listen on that network can read the API key"
        report.add(Finding(Mark.DOUBTFUL, "Encryption", detail, "Use https:// if you can."))
    return region


async def check_region(report: Report, region: RegionSettings) -> None:
    """What the region says, from its version to its events."""
    from maas_mcp.maas.retry import Backoff  # noqa: PLC0415 - with the transport
    from maas_mcp.maas.transport import HttpTransport  # noqa: PLC0415 - a third of a second; not for --help

    try:
        maas = MaasClient(HttpTransport(region, backoff=Backoff(attempts=1)))
    except SettingsError as error:
        report.error("Certificates", error)
        report.skip("Region", "Version", "API key", "Machines", "Events")
        return
    try:
        await _check_answers(report, maas, tls=region.api_url.startswith("https://"))
    finally:
        await maas.aclose()


async def _check_answers(report: Report, maas: MaasClient, *, tls: bool) -> None:
    version = await _answer(report, "Region", maas.version)
    if version is None:
        report.skip("Version", "API key", "Machines", "Events")
        return
    report.add(Finding(Mark.GOOD, "Region", f"it answers{', and its certificate is trusted' if tls else ''}"))
    report.add(judge_version(version))
    user = await _answer(report, "API key", maas.whoami)
    if user is None:
        report.skip("Machines", "Events")
        return
    report.add(judge_user(user.username, administrator=user.is_superuser))
    machines = await _answer(report, "Machines", maas.machines)
    if machines is not None:
        report.add(judge_machines(len(machines)))
    newest = await _answer(report, "Events", maas.newest_event_id)
    if newest is not None:
        report.add(Finding(Mark.GOOD, "Events", "readable: progress comes from them"))


async def _answer(report: Report, what: str, ask: Callable[[], Awaitable[T]]) -> T | None:
    try:
        with anyio.fail_after(PATIENCE):
            return await ask()
    except TimeoutError:
        report.error(what, MaasUnavailableError(f"MAAS did not answer within {PATIENCE:.0f} s.", hint="Is it busy?"))
    except MaasError as error:
        report.error(what, error)
    return None


def judge_version(version: str) -> Finding:
    """Whether this project knows the release."""
    release = release_of(version)
    if release is None:
        return Finding(Mark.DOUBTFUL, "Version", f"MAAS {version[:40]}, which is not a release that is known here")
    known = f"{'.'.join(map(str, OLDEST))} to {'.'.join(map(str, NEWEST))}"
    if release < OLDEST:
        hint = f"Known are {known}. Things may fail; upgrade MAAS if you can."
        return Finding(Mark.DOUBTFUL, "Version", f"MAAS {version} is older than what was checked", hint)
    if release > NEWEST:
        hint = f"Known are {known}. It should work: what is unknown is tolerated."
        return Finding(Mark.DOUBTFUL, "Version", f"MAAS {version} is newer than what was checked", hint)
    return Finding(Mark.GOOD, "Version", f"MAAS {version}")


def judge_user(name: str, *, administrator: bool) -> Finding:
    """Whose key it is and what that means."""
    if administrator:
        detail = f"{name}, an administrator: may do everything with every machine"
    else:
        detail = f"{name}, not an administrator: may deploy and release, but commissioning needs an administrator's key"
    return Finding(Mark.GOOD, "API key", detail)


def judge_machines(count: int) -> Finding:
    """Whether there is anything to work with."""
    if count == 0:
        hint = "Add machines in MAAS, or use the key of a user who may see some."
        return Finding(Mark.DOUBTFUL, "Machines", "this key can see none", hint)
    return Finding(Mark.GOOD, "Machines", f"{count} visible with this key")


def check_plugins(report: Report) -> None:
    """Whether every installed plugin can be used."""
    try:
        records = installed()
    except SettingsError:  # told already
        report.skip("Plugins")
        return
    for record in records:
        what = f"Plugin {record.name}"
        if record.state is PluginState.FAILED:
            hint = f"Mend or uninstall {record.distribution}, or block it with MAAS_MCP_PLUGINS_BLOCK={record.name}."
            report.add(Finding(Mark.BAD, what, record.error or "it cannot be used", hint))
        elif record.state is PluginState.BLOCKED:
            report.add(Finding(Mark.SKIPPED, what, "blocked by the settings"))
        else:
            report.add(Finding(Mark.GOOD, what, ", ".join(record.tools) or "no tools"))
    if not records:
        hint = "`pip install maas-mcp` brings deploy, commission and inventory."
        report.add(Finding(Mark.BAD, "Plugins", "none is installed, so there is no tool to call", hint))


def _one_line(text: str) -> str:
    return " ".join(text.split())

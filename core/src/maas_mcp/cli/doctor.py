"""``maas-mcp doctor``: checks everything that a call needs, in the order in which it is needed."""

import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import anyio
import click

from maas_mcp.cli.findings import Finding, Mark, Report
from maas_mcp.cli.interrupt import run
from maas_mcp.cli.own_stdout import diverted_stdout
from maas_mcp.cli.plugins import installed
from maas_mcp.errors import MaasError, MaasUnavailableError, SettingsError
from maas_mcp.maas.address import RegionAccess, is_loopback
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.versions import parse_release
from maas_mcp.plugins.polling_choice import chosen_strategy
from maas_mcp.plugins.registry import PluginState
from maas_mcp.secret import check_secret_files, previous_file, secret_file
from maas_mcp.settings import MIN_SECRET_LENGTH, Settings, config_file, find_misnamed_variables

if TYPE_CHECKING:
    from maas_mcp.maas.address import Proxy

T = TypeVar("T")

PATIENCE: Final = 60.0
"""Seconds that one answer may take: what a call waits for a read."""
SLOW: Final = 5.0
"""Seconds after which an answer is worth a remark."""
UNKNOWN_MACHINE: Final = "zzzzzz"
"""A system id that hardly any machine has: MAAS leaves out of the list what it does not know."""
OLDEST: Final = (3, 3)
NEWEST: Final = (3, 8)
"""The MAAS releases whose API this project was checked against."""


OF_THE_REGION: Final = ("Region", "Version", "API key", "Events", "Machines")
OF_OPERATIONS: Final = ("Polling", "Operation ids")


@click.command(
    "doctor", epilog="Exit codes: 0 no check failed; 1 a check failed; 2 wrong usage; 130 interrupted by Ctrl-C."
)
def command() -> None:
    """Check that maas-mcp is ready to use.

    Checks settings, connection, TLS certificate, MAAS version, API-key permissions, event access and plugins, and
    suggests a fix for each problem. Changes nothing, and never shows a secret. Exits with 1 if a check fails.
    """
    report = Report()
    examine(report)
    sys.exit(report.conclude())


def examine(report: Report) -> None:
    """Make every check that can be made.

    Only those of the region run in an event loop: code of plugins that hangs would not let it see a signal.
    """
    try:
        settings = Settings.load()
    except SettingsError as error:
        report.error("Settings", error)
        report.skip(*OF_THE_REGION, *OF_OPERATIONS, "Plugins")
        return
    region = check_settings(report, settings)
    if region is None:
        report.skip(*OF_THE_REGION)
    else:
        run(partial(check_region, report, region))
    check_operations(report, settings)
    check_plugins(report)


def check_settings(report: Report, settings: Settings) -> RegionAccess | None:
    """Whether there are an address and a key to use."""
    try:
        region = settings.require_region()
        file = config_file()
    except SettingsError as error:
        report.error("Settings", error)
        return None
    source = f"; settings from {file}" if file else ""
    bundle = f"; certificates from {region.ca_bundle}" if region.ca_bundle else ""
    report.add(Finding(Mark.GOOD, "Settings", f"{region.api_url} with an API key in the right format{bundle}{source}"))
    if region.api_url.startswith("http://") and not is_loopback(urlsplit(region.api_url).hostname or ""):
        detail = "http:// to another host: anyone on that network can read the API key"
        report.add(Finding(Mark.DOUBTFUL, "Encryption", detail, "Use https:// if you can."))
    for name, meant in find_misnamed_variables().items():
        report.add(Finding(Mark.DOUBTFUL, "Settings", f"{name} is not a setting", f"Did you mean {meant}?"))
    return region


async def check_region(report: Report, region: RegionAccess) -> None:
    """What the region says, from its version to its events."""
    from maas_mcp.maas.exchange import HttpTransport  # noqa: PLC0415 - a third of a second; not for --help
    from maas_mcp.maas.retry import Backoff  # noqa: PLC0415 - with the transport
    from maas_mcp.proxies import with_proxy  # noqa: PLC0415 - with the transport

    try:
        transport = HttpTransport(with_proxy(region), backoff=Backoff(attempts=1))
    except SettingsError as error:
        report.error("Connection", error)
        report.skip(*OF_THE_REGION)
        return
    if transport.proxy:
        report.add(judge_proxy(transport.proxy))
    maas = MaasClient(transport)
    try:
        await _check_answers(report, maas, tls=region.api_url.startswith("https://"))
    finally:
        await maas.aclose()


async def _check_answers(report: Report, maas: MaasClient, *, tls: bool) -> None:
    version = await _answer(report, "Region", maas.version)
    if version is None:
        report.skip(*OF_THE_REGION[1:])
        return
    report.add(Finding(Mark.GOOD, "Region", f"reachable{', and its certificate is trusted' if tls else ''}"))
    report.add(judge_version(version))
    user = await _answer(report, "API key", maas.whoami)
    if user is None:
        report.skip("Events", "Machines")
        return
    report.add(judge_user(user.username, administrator=user.is_superuser))
    events = await _answer(report, "Events", partial(maas.events, limit=1))
    if events is not None:
        report.add(Finding(Mark.GOOD, "Events", "readable; progress messages come from them"))
    # Not all machines: MAAS has no paging, and a large region takes minutes for them.
    one = events[0].node if events else UNKNOWN_MACHINE
    if await _answer(report, "Machines", partial(maas.machines, id=[one])) is not None:
        report.add(Finding(Mark.GOOD, "Machines", "readable"))


async def _answer(report: Report, what: str, ask: Callable[[], Awaitable[T]]) -> T | None:
    began = time.monotonic()
    try:
        with anyio.fail_after(PATIENCE):
            answer = await ask()
    except TimeoutError:
        report.error(
            what,
            MaasUnavailableError(
                f"MAAS did not answer within {PATIENCE:.0f} s.", hint="It may be overloaded. Try again later."
            ),
        )
        return None
    except MaasError as error:
        report.error(what, error)
        return None
    if (took := time.monotonic() - began) > SLOW:
        report.add(
            Finding(Mark.DOUBTFUL, what, f"MAAS took {took:.0f} s to answer", "It may be overloaded, or far away.")
        )
    return answer


def judge_proxy(proxy: "Proxy") -> Finding:
    """Which proxy the environment names, and which exceptions from it are ignored."""
    detail = f"the region is reached through {proxy}"
    if not proxy.warnings:
        return Finding(Mark.GOOD, "Proxy", detail)
    known = "NO_PROXY takes hosts, .suffixes, addresses, networks such as 10.0.0.0/8, each with a :port, and *."
    return Finding(Mark.DOUBTFUL, "Proxy", f"{detail}. {' '.join(proxy.warnings)}", known)


def judge_version(version: str) -> Finding:
    """Whether this project knows the release."""
    release = parse_release(version)
    if release is None:
        return Finding(Mark.DOUBTFUL, "Version", f"MAAS {version[:40]} is not a known release")
    known = f"{'.'.join(map(str, OLDEST))} to {'.'.join(map(str, NEWEST))}"
    if release < OLDEST:
        hint = f"The tested releases are {known}. Some tools may fail; upgrade MAAS if you can."
        return Finding(Mark.DOUBTFUL, "Version", f"MAAS {version} is older than the tested releases", hint)
    if release > NEWEST:
        hint = f"The tested releases are {known}. A newer one should work: unknown fields are ignored."
        return Finding(Mark.DOUBTFUL, "Version", f"MAAS {version} is newer than the tested releases", hint)
    return Finding(Mark.GOOD, "Version", f"MAAS {version}")


def judge_user(name: str, *, administrator: bool) -> Finding:
    """Whose key it is and what that means."""
    if administrator:
        detail = f"{name}, an administrator: may manage every machine"
    else:
        detail = f"{name}, not an administrator: may deploy and release, but commissioning needs an administrator's key"
    return Finding(Mark.GOOD, "API key", detail)


def check_operations(report: Report, settings: Settings) -> None:
    """Whether what takes minutes can be followed, and asked for again."""
    try:
        with diverted_stdout():  # a strategy is a plugin, too
            chosen_strategy(settings.polling)
    except SettingsError as error:
        report.error("Polling", error)
    else:
        report.add(Finding(Mark.GOOD, "Polling", settings.polling or "each operation's own strategy"))
    if settings.secret:
        report.add(judge_secrets(settings))
    else:
        check_secret(report, settings)


def judge_secrets(settings: Settings) -> Finding:
    """How many secrets are given; and whether a comma was taken for what separates them."""
    if len(settings.secret) > 1:
        count = f"the first of {len(settings.secret)} secrets in MAAS_MCP_SECRET; all of them open ids"
        return Finding(Mark.GOOD, "Operation ids", f"sealed with {count}")
    parts = settings.secret[0].get_secret_value().split(",")
    if len(parts) > 1 and min(map(len, parts)) >= MIN_SECRET_LENGTH:
        detail = "sealed with MAAS_MCP_SECRET, which is one secret with a comma in it"
        hint = "If these are several secrets, separate them with blanks instead."
        return Finding(Mark.DOUBTFUL, "Operation ids", detail, hint)
    return Finding(Mark.GOOD, "Operation ids", "sealed with MAAS_MCP_SECRET")


def check_secret(report: Report, settings: Settings) -> None:
    """Whether a secret can be kept in the state directory."""
    try:
        check_secret_files(settings)
    except SettingsError as error:
        report.error("Operation ids", error)
        return
    path = secret_file(settings)
    previous = previous_file(path)
    older = f"; that in {previous} opens ids, too" if previous.exists() else ""
    report.add(Finding(Mark.GOOD, "Operation ids", f"sealed with the secret in {path}{older}"))


def check_plugins(report: Report) -> None:
    """Whether every installed plugin can be used."""
    with diverted_stdout():
        records = installed()
    for record in records:
        what = f"Plugin {record.name}"
        if record.state is PluginState.FAILED:
            hint = f"Fix or uninstall {record.distribution}, or block it with MAAS_MCP_PLUGINS_BLOCK={record.name}."
            report.add(Finding(Mark.BAD, what, record.error or "cannot be used", hint))
        elif record.state is PluginState.BLOCKED:
            report.add(Finding(Mark.SKIPPED, what, "blocked by the settings"))
        else:
            report.add(Finding(Mark.GOOD, what, ", ".join(record.tools) or "no tools"))
    if not records:
        hint = "`pip install maas-mcp` installs deploy, commission and inventory."
        report.add(Finding(Mark.BAD, "Plugins", "none is installed, so the server has no tools for machines", hint))

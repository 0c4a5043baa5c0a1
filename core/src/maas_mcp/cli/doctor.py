"""``maas-mcp doctor``: checks everything that a tool call needs, in the order in which a call needs it."""

import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import anyio
import click

from maas_mcp.audit.file import check_audit_file
from maas_mcp.calls.audit_log import audit_path
from maas_mcp.cli.access_checks import check_access
from maas_mcp.cli.findings import Finding, Mark, Report
from maas_mcp.cli.interrupt import run
from maas_mcp.cli.plugins import load_installed
from maas_mcp.cli.policy_checks import check_policy
from maas_mcp.cli.region_checks import (
    Clock,
    judge_clock,
    judge_expiry,
    judge_server_certificate,
    read_region_certificate,
)
from maas_mcp.cli.stdout import redirect_stdout_to_stderr
from maas_mcp.credentials.regions import LocalRegion, find_regions, ignored_sources
from maas_mcp.errors import AuditUnavailableError, MaasError, MaasUnavailableError, SettingsError
from maas_mcp.maas.address import RegionAccess, is_loopback
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import User
from maas_mcp.maas.versions import parse_release
from maas_mcp.plugins.polling_choice import chosen_strategy
from maas_mcp.plugins.registry import PluginState, Registry
from maas_mcp.secret import check_secret_files, previous_file, secret_file
from maas_mcp.setting_types import MIN_SECRET_LENGTH
from maas_mcp.settings import Settings, config_file, find_misnamed_variables

if TYPE_CHECKING:
    from maas_mcp.maas.address import Proxy

T = TypeVar("T")

RESPONSE_TIMEOUT: Final = 60.0
"""Seconds to wait for one response: the same as a tool call waits for a read."""
SLOW_RESPONSE: Final = 5.0
"""Seconds after which a response is reported as slow."""
UNKNOWN_MACHINE: Final = "zzzzzz"
"""A system id that almost certainly does not exist. MAAS then returns an empty list."""
OLDEST_TESTED: Final = (3, 3)
NEWEST_TESTED: Final = (3, 8)
"""The range of MAAS releases whose API this project is tested against."""

REGION_CHECKS: Final = ("Region", "Version", "API key", "Events", "Machines")
OPERATION_CHECKS: Final = ("Polling", "Operation ids")


@click.command("doctor", epilog="Exit codes: 0 no check failed; 1 a check failed; 2 wrong usage; 130 interrupted.")
def command() -> None:
    """Check that maas-mcp is ready to use.

    Checks settings, connection, TLS certificate, clock, MAAS version, API-key permissions, event access, plugins and
    policy, and suggests a fix for each problem. Changes nothing and never shows a secret.
    Exits with 1 if a check fails.
    """
    report = Report()
    run_checks(report)
    sys.exit(report.conclude())


def run_checks(report: Report) -> None:
    """Run every check that is possible.

    Only the checks of the region run in an event loop. Plugin code that hangs would block the loop, and Ctrl-C.
    """
    try:
        settings = Settings.load()
    except SettingsError as error:
        report.error("Settings", error)
        report.skip(*REGION_CHECKS, *OPERATION_CHECKS, "Plugins")
        return
    regions = check_settings(report, settings, keys_of_principals=check_access(report, settings))
    if settings.http_tls_cert is not None:
        report.add(judge_server_certificate(settings.http_tls_cert))
    users: list[User] = []
    if not regions:
        report.skip(*REGION_CHECKS)
    for region in regions:
        check_address(report, region)
        if user := run(partial(check_region, report, region.access)):
            users.append(user)
    check_operations(report, settings)
    registry = check_plugins(report)
    if registry is not None:
        check_policy(report, settings, registry, users)


def check_settings(report: Report, settings: Settings, *, keys_of_principals: bool) -> Sequence[LocalRegion]:
    """Check the settings. Returns the regions if they are complete.

    Args:
        report: The report.
        settings: The settings.
        keys_of_principals: Whether each principal has a MAAS API key of its own, so that the settings need none.
    """
    anonymous = keys_of_principals and settings.maas_api_key is None
    try:
        regions = (LocalRegion("", settings.anonymous_region(), ""),) if anonymous else find_regions(settings)
        file = config_file()
    except SettingsError as error:
        report.error("Settings", error)
        return ()
    where = regions[0].access.api_url if len(regions) == 1 else f"{len(regions)} regions"
    key = "without an API key" if anonymous else "with an API key in the right format"
    bundles = dict.fromkeys(each.access.ca_bundle for each in regions if each.access.ca_bundle)
    bundle = f"; CA certificates from {', '.join(map(str, bundles))}" if bundles else ""
    report.add(Finding(Mark.PASSED, "Settings", f"{where} {key}{bundle}{f'; settings from {file}' if file else ''}"))
    if ignored := [] if anonymous else ignored_sources(settings):
        detail = f"{' and '.join(ignored)} {'is' if len(ignored) == 1 else 'are'} ignored: {regions[0].source} is used"
        report.add(Finding(Mark.WARNING, "Credentials", detail, "Set only one of these sources of the API key."))
    for name, meant in find_misnamed_variables().items():
        report.add(Finding(Mark.WARNING, "Settings", f"{name} is not a setting", f"Did you mean {meant}?"))
    return regions


def check_address(report: Report, region: LocalRegion) -> None:
    """Report where the API key of a region comes from, and whether it is sent unencrypted."""
    url = region.access.api_url
    if region.source:
        detail = f"{region.name} is {url}, from {region.source}" if region.name else f"from {region.source}"
        report.add(Finding(Mark.PASSED, "Credentials", detail))
    if url.startswith("http://") and not is_loopback(urlsplit(url).hostname or ""):
        named = f"The region {region.name}" if region.name else "MAAS_URL"
        detail = f"{named} uses http:// to another host, so anyone on the network can read the API key"
        report.add(Finding(Mark.WARNING, "Encryption", detail, "Use https:// if the region supports it."))


async def check_region(report: Report, region: RegionAccess) -> User | None:
    """Check the region, from its version to its machines. Returns the user of the API key, if MAAS accepts it."""
    from maas_mcp.maas.exchange import HttpTransport  # noqa: PLC0415 - a third of a second, which --help does not need
    from maas_mcp.maas.retry import Backoff  # noqa: PLC0415 - with the transport
    from maas_mcp.proxies import with_proxy  # noqa: PLC0415 - with the transport

    clock = Clock()
    try:
        transport = HttpTransport(with_proxy(region), backoff=Backoff(attempts=1), observers=[clock.observe])
    except SettingsError as error:
        report.error("Connection", error)
        report.skip(*REGION_CHECKS)
        return None
    if transport.proxy:
        report.add(judge_proxy(transport.proxy))
    maas = MaasClient(transport)
    try:
        return await _check_api(report, maas, region, clock)
    finally:
        await maas.aclose()


async def _check_api(report: Report, maas: MaasClient, region: RegionAccess, clock: Clock) -> User | None:
    tls = region.api_url.startswith("https://")
    version = await _request(report, "Region", maas.version)
    if version is None:
        report.skip(*REGION_CHECKS[1:])
        return None
    report.add(Finding(Mark.PASSED, "Region", f"reachable{', and its certificate is trusted' if tls else ''}"))
    if tls and (expires := await read_region_certificate(region)):
        report.add(judge_expiry("Certificate", expires, "Renew the certificate of the region."))
    report.add(judge_version(version))
    if clock.skew is not None:
        report.add(judge_clock(clock.skew))
    if region.api_key is None:
        report.add(Finding(Mark.SKIPPED, "API key", "not checked: each principal has its own"))
        report.skip("Events", "Machines")
        return None
    user = await _request(report, "API key", maas.whoami)
    if user is None:
        report.skip("Events", "Machines")
        return None
    report.add(judge_user(user.username, administrator=user.is_superuser))
    events = await _request(report, "Events", partial(maas.events, limit=1))
    if events is not None:
        report.add(Finding(Mark.PASSED, "Events", "readable; they provide the progress messages"))
    # One machine only: MAAS has no paging, and a large region takes minutes to list all machines.
    system_id = events[0].node if events else UNKNOWN_MACHINE
    if await _request(report, "Machines", partial(maas.machines, id=[system_id])) is not None:
        report.add(Finding(Mark.PASSED, "Machines", "readable"))
    return user


async def _request(report: Report, check: str, send: Callable[[], Awaitable[T]]) -> T | None:
    began = time.monotonic()
    try:
        with anyio.fail_after(RESPONSE_TIMEOUT):
            answer = await send()
    except TimeoutError:
        report.error(
            check,
            MaasUnavailableError(
                f"MAAS did not respond within {RESPONSE_TIMEOUT:.0f} s.", hint="It may be overloaded. Try again later."
            ),
        )
        return None
    except MaasError as error:
        report.error(check, error)
        return None
    if (took := time.monotonic() - began) > SLOW_RESPONSE:
        report.add(
            Finding(Mark.WARNING, check, f"MAAS took {took:.0f} s to respond", "MAAS or the network may be overloaded.")
        )
    return answer


def judge_proxy(proxy: "Proxy") -> Finding:
    """Report the proxy that the environment sets, and the invalid entries of ``NO_PROXY``."""
    detail = f"MAAS is reached through {proxy}"
    if not proxy.warnings:
        return Finding(Mark.PASSED, "Proxy", detail)
    syntax = (
        "NO_PROXY accepts *, and host names, .suffixes, addresses and networks (10.0.0.0/8), with or without :port."
    )
    return Finding(Mark.WARNING, "Proxy", f"{detail}. {' '.join(proxy.warnings)}", syntax)


def judge_version(version: str) -> Finding:
    """Check whether this project is tested with the release."""
    release = parse_release(version)
    if release is None:
        return Finding(Mark.WARNING, "Version", f"MAAS {version[:40]} is not a release number", "Some tools may fail.")
    tested = f"{'.'.join(map(str, OLDEST_TESTED))} to {'.'.join(map(str, NEWEST_TESTED))}"
    if release < OLDEST_TESTED:
        hint = f"maas-mcp is tested with {tested}. Some tools may fail. Upgrade MAAS if you can."
        return Finding(Mark.WARNING, "Version", f"MAAS {version} is older than the tested releases", hint)
    if release > NEWEST_TESTED:
        hint = f"maas-mcp is tested with {tested}. A newer release should work: maas-mcp ignores unknown fields."
        return Finding(Mark.WARNING, "Version", f"MAAS {version} is newer than the tested releases", hint)
    return Finding(Mark.PASSED, "Version", f"MAAS {version}")


def judge_user(name: str, *, administrator: bool) -> Finding:
    """Report the user of the API key and what the key permits."""
    if administrator:
        detail = f"{name}, an administrator, who can manage every machine"
    else:
        detail = f"{name}, not an administrator: can deploy and release; commissioning needs an administrator's key"
    return Finding(Mark.PASSED, "API key", detail)


def check_operations(report: Report, settings: Settings) -> None:
    """Check the polling strategy, the secret that signs operation ids, and the audit file."""
    try:
        with redirect_stdout_to_stderr():  # the strategy is plugin code, which may print
            chosen_strategy(settings.polling)
    except SettingsError as error:
        report.error("Polling", error)
    else:
        report.add(Finding(Mark.PASSED, "Polling", settings.polling or "the default strategy of each operation"))
    if settings.secret:
        report.add(judge_secrets(settings))
    else:
        check_secret(report, settings)
    check_audit(report, settings)


def judge_secrets(settings: Settings) -> Finding:
    """Report the number of secrets, and warn if they seem to be separated by commas instead of spaces."""
    if len(settings.secret) > 1:
        detail = (
            f"signed with the first of {len(settings.secret)} secrets in MAAS_MCP_SECRET, verified with all of them"
        )
        return Finding(Mark.PASSED, "Operation ids", detail)
    parts = settings.secret[0].get_secret_value().split(",")
    if len(parts) > 1 and min(map(len, parts)) >= MIN_SECRET_LENGTH:
        detail = "signed with MAAS_MCP_SECRET, which is one secret that contains a comma"
        hint = "If these are several secrets, separate them with spaces instead."
        return Finding(Mark.WARNING, "Operation ids", detail, hint)
    return Finding(Mark.PASSED, "Operation ids", "signed with MAAS_MCP_SECRET")


def check_secret(report: Report, settings: Settings) -> None:
    """Check whether a secret can be stored in the state directory."""
    try:
        check_secret_files(settings)
    except SettingsError as error:
        report.error("Operation ids", error)
        return
    path = secret_file(settings)
    previous = previous_file(path)
    older = f", verified also with the one in {previous}" if previous.exists() else ""
    report.add(Finding(Mark.PASSED, "Operation ids", f"signed with the secret in {path}{older}"))


def check_audit(report: Report, settings: Settings) -> None:
    """Check whether the audit file can be written."""
    path = audit_path(settings)
    if path is None:
        report.add(Finding(Mark.PASSED, "Audit", "off: calls that change something are not recorded"))
        return
    try:
        check_audit_file(path)
    except AuditUnavailableError as error:
        report.error("Audit", error)
    else:
        report.add(Finding(Mark.PASSED, "Audit", f"calls that change something are recorded in {path}"))


def check_plugins(report: Report) -> Registry | None:
    """Check whether every installed plugin can be loaded. Returns those that were loaded."""
    try:
        with redirect_stdout_to_stderr():
            registry = load_installed()
    except SettingsError as error:  # the settings of plugins, which no other check reads
        report.error("Plugins", error)
        return None
    for record in registry.records:
        check = f"Plugin {record.name}"
        if record.state is PluginState.FAILED:
            hint = f"Fix or uninstall {record.distribution}, or set MAAS_MCP_PLUGINS_BLOCK={record.name}."
            report.add(Finding(Mark.FAILED, check, record.error or "cannot be loaded", hint))
        elif record.state is PluginState.BLOCKED:
            report.add(Finding(Mark.SKIPPED, check, "blocked by a setting"))
        else:
            report.add(Finding(Mark.PASSED, check, ", ".join(record.tools) or "no tools"))
    if not registry.records:
        hint = "`pip install maas-mcp` installs the plugins deploy, commission, configure and inventory."
        report.add(Finding(Mark.FAILED, "Plugins", "none installed, so the server has no tools for machines", hint))
    return registry

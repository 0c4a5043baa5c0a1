"""The doctor's checks of the policy: the mode, the served tools, each kind of rule, and the user's permissions."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from maas_mcp.access.configuration import HttpAccess
from maas_mcp.calls.usage import check_usage_file
from maas_mcp.cli.findings import Finding, Mark, Report
from maas_mcp.cli.policy import serving
from maas_mcp.errors import RefusedByPolicyError, SettingsError
from maas_mcp.maas.models import User
from maas_mcp.plugins.registry import AnyTool, Registry
from maas_mcp.policy.configuration import Policy
from maas_mcp.policy.limits import LIMITS
from maas_mcp.settings import Settings

MAX_NAMED = 8
"""Tools that one finding names."""


def check_policy(report: Report, settings: Settings, registry: Registry, users: Sequence[User]) -> None:
    """Check the policy, and report it in a line for each part.

    Args:
        report: The report.
        settings: The settings.
        registry: The loaded plugins.
        users: The known users of the API keys, one for each region.
    """
    try:
        tools, warnings = serving(settings, registry)
    except SettingsError as error:
        report.error("Policy", error)
        return
    served = tools.select().tools
    report.add(judge_mode(settings, len(served), len(tools.tools)))
    for warning in warnings:
        report.add(Finding(Mark.WARNING, "Policy", warning))
    policy = settings.policy
    report.add(judge_protection(policy))
    for each in judge_freeze(policy, datetime.now(UTC)):
        report.add(each)
    report.add(judge_limits(policy))
    if policy.second_person:
        report.add(judge_second_person(settings))
    for user in users:
        if not user.is_superuser and (finding := judge_permissions(settings, user, served.values())):
            report.add(finding)


def judge_mode(settings: Settings, served: int, loaded: int) -> Finding:
    """Report the mode and the number of served tools."""
    mode = settings.policy.mode(settings.mode)
    detail = f"mode {settings.mode}: operate {mode.operate}, destroy {mode.destroy}; {served} of {loaded} tools served"
    if served:
        return Finding(Mark.PASSED, "Policy", detail)
    hint = "`maas-mcp policy show` names the setting that leaves each tool out."
    return Finding(Mark.FAILED, "Policy", detail, hint)


def judge_protection(policy: Policy) -> Finding:
    """Report which machines are protected."""
    rules = list(_rules(policy))
    if rules:
        return Finding(Mark.PASSED, "Protection", f"machines {'; '.join(rules)}")
    hint = "If some machines must never change, set tags, pools, zones or hostnames in [policy.protect]."
    return Finding(Mark.WARNING, "Protection", "no machine is protected", hint)


def _rules(policy: Policy) -> Iterator[str]:
    protect = policy.protect
    parts = {
        "with the tag": protect.tags,
        "in the pool": protect.pools,
        "in the zone": protect.zones,
        "named": protect.hostnames,
    }
    yield from (f"{words} {' or '.join(names)}" for words, names in parts.items() if names)
    if protect.other_owners:
        yield "of other MAAS users"


def judge_freeze(policy: Policy, now: datetime) -> Iterator[Finding]:
    """Report the windows that are open, and those that are over and refuse nothing any more."""
    for number, window in enumerate(policy.freeze):
        if window.is_over(now):
            detail = f"the window freeze.{number} ended at {window.end}, so it refuses nothing"
            yield Finding(Mark.WARNING, "Freeze", detail, "Correct its dates, or remove it.")
        elif end := window.ends(now):
            reason = f": {window.reason}" if window.reason else ""
            detail = f"calls of the tiers {', '.join(window.tiers)} are refused until {end:%Y-%m-%d %H:%M %Z}{reason}"
            yield Finding(Mark.PASSED, "Freeze", detail)
        else:
            yield Finding(Mark.PASSED, "Freeze", f"the window freeze.{number} is not open now")


def judge_limits(policy: Policy) -> Finding:
    """Report the limits, and whether calls can be counted."""
    parts = {"per_call": "in a call", "per_hour": "in an hour", "at_once": "at once"}
    limits = {name: policy.limit(name).model_dump(exclude_none=True) for name in sorted({*LIMITS, *policy.limits})}
    shown = [
        f"{name} {', '.join(f'{most} {parts[part]}' for part, most in limit.items())}"
        for name, limit in limits.items()
        if limit
    ]
    detail = f"machines: {'; '.join(shown)}" if shown else "none"
    if policy.usage_file is None:
        return Finding(Mark.PASSED, "Limits", detail)
    try:
        check_usage_file(policy.usage_file)
    except RefusedByPolicyError as error:
        return Finding(Mark.FAILED, "Limits", error.message, error.hint)
    return Finding(Mark.PASSED, "Limits", f"{detail}; counted in {policy.usage_file}")


def judge_second_person(settings: Settings) -> Finding:
    """Report which plans another person applies. Only authentication distinguishes persons."""
    detail = f"another person applies the plans of calls of the kinds {', '.join(settings.policy.second_person)}"
    if HttpAccess.from_settings(settings) is not None:
        return Finding(Mark.PASSED, "Second person", detail)
    hint = "Without authentication over HTTP there is only one person, so such calls cannot be made."
    return Finding(Mark.WARNING, "Second person", detail, hint)


def judge_permissions(settings: Settings, user: User, served: Iterable[AnyTool]) -> Finding | None:
    """Report the served tools that MAAS refuses to a user who is not an administrator."""
    names = [tool.name for tool in served if tool.admin_only]
    if not names:
        return None
    shown = ", ".join(names[:MAX_NAMED]) + (f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else "")
    if settings.admin_tools == "hide":
        return Finding(Mark.PASSED, "Permissions", f"hidden, because {user.username} is not an administrator: {shown}")
    hint = "Use an administrator's API key, or set MAAS_MCP_ADMIN_TOOLS=hide so that models do not try these tools."
    return Finding(Mark.PASSED, "Permissions", f"MAAS does not allow {user.username} to use {shown}", hint)

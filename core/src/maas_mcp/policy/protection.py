"""Finds the rule of the site that protects a machine."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from maas_mcp.maas.models import Machine
from maas_mcp.machine_text import quoted
from maas_mcp.policy.configuration import Protection

_READ_FIELDS = {"tags": "tag_names", "pools": "pool", "zones": "zone", "hostnames": "hostname", "other_owners": "owner"}


def protecting_rule(protect: Protection, machine: Machine, username: str | None) -> tuple[str, str] | None:
    """Return the rule that protects a machine and the reason; ``None`` if no rule does.

    A machine whose field is unreadable is protected by the rule that needs the field.

    Args:
        protect: The site's rules.
        machine: The machine.
        username: The caller's MAAS user; ``None`` if unknown. Then every owner is another user.
    """
    return next(_protecting(protect, machine, username), None)


def _protecting(protect: Protection, machine: Machine, username: str | None) -> Iterator[tuple[str, str]]:
    for rule, field in _READ_FIELDS.items():
        if getattr(protect, rule) and field in machine.unreadable:
            yield f"protect.{rule}", f"MAAS returned an unreadable value for its `{field}`"
    for tag in protect.tags:
        if tag in machine.tag_names:
            yield "protect.tags", f"it has the tag {tag}"
    if machine.pool in protect.pools:
        yield "protect.pools", f"it is in the resource pool {machine.pool}"
    if machine.zone in protect.zones:
        yield "protect.zones", f"it is in the zone {machine.zone}"
    names = {machine.hostname.lower(), machine.fqdn.lower()}
    for pattern in protect.hostnames:
        if any(fnmatchcase(name, pattern.lower()) for name in names):
            yield "protect.hostnames", f"its hostname matches {pattern}"
    if protect.other_owners and machine.owner not in {None, username}:
        yield "protect.other_owners", f"it belongs to {quoted(machine.owner or '')}"

"""Validation of the statuses in a lifecycle, with errors that suggest the right name."""

from collections.abc import Iterable
from difflib import get_close_matches

from maas_mcp.maas.statuses import MachineStatus

_IMPORT = "with `from maas_mcp.api import MachineStatus as S`"


def declared_statuses(name: str, given: object) -> frozenset[MachineStatus]:
    """Return ``given`` as a set of statuses, for the part ``name`` of a lifecycle.

    Raises:
        TypeError: ``given`` is not a collection of ``MachineStatus``. Strings and plain numbers are rejected, because
            they would never equal a status that MAAS reports, or not display as one.
    """
    where = f"Lifecycle: `{name}`: expected a set of MachineStatus"
    if isinstance(given, str | int) or not isinstance(given, Iterable):
        raise TypeError(f"{where}, but it is {given!r}. Write `{name}={{{_suggest_member(given)}}}`, {_IMPORT}.")
    statuses = list(given)
    for each in statuses:
        if not isinstance(each, MachineStatus):
            raise TypeError(f"{where}, but {each!r} is in it. Write `{_suggest_member(each)}`, {_IMPORT}.")
    return frozenset(statuses)


def _suggest_member(given: object) -> str:
    """Return the status that the author probably means."""
    if isinstance(given, MachineStatus):
        return f"S.{given.name}"
    if isinstance(given, int) and given in list(MachineStatus):
        return f"S.{MachineStatus(given).name}"
    if isinstance(given, str):
        spelt = {_normalize(word): status.name for status in MachineStatus for word in (status.name, status.display)}
        close = get_close_matches(_normalize(given), spelt, n=1)
        if close:
            return f"S.{spelt[close[0]]}"
    return "S.READY"


def _normalize(name: str) -> str:
    return name.strip().replace("_", " ").replace("-", " ").lower()

"""The statuses that an author names in a lifecycle, or a message with the name of the right one."""

from collections.abc import Iterable
from difflib import get_close_matches

from maas_mcp.maas.statuses import MachineStatus

_IMPORT = "with `from maas_mcp.api import MachineStatus as S`"


def declared_statuses(name: str, given: object) -> frozenset[MachineStatus]:
    """What ``given`` names, for the part of a lifecycle that is called ``name``.

    Raises:
        TypeError: It is no collection of statuses. A bare string would be one of letters, and a string or a number is
            never equal to, or never shown as, what MAAS answers.
    """
    where = f"Lifecycle: `{name}`: expected a set of MachineStatus"
    if isinstance(given, str | int) or not isinstance(given, Iterable):
        raise TypeError(f"{where}, but it is {given!r}. Write `{name}={{{_meant(given)}}}`, {_IMPORT}.")
    statuses = list(given)
    for each in statuses:
        if not isinstance(each, MachineStatus):
            raise TypeError(f"{where}, but {each!r} is in it. Write `{_meant(each)}`, {_IMPORT}.")
    return frozenset(statuses)


def _meant(given: object) -> str:
    """The member that an author has most likely meant."""
    if isinstance(given, MachineStatus):
        return f"S.{given.name}"
    if isinstance(given, int) and given in list(MachineStatus):
        return f"S.{MachineStatus(given).name}"
    if isinstance(given, str):
        spelt = {_plain(word): status.name for status in MachineStatus for word in (status.name, status.display)}
        close = get_close_matches(_plain(given), spelt, n=1)
        if close:
            return f"S.{spelt[close[0]]}"
    return "S.READY"


def _plain(name: str) -> str:
    return name.strip().replace("_", " ").replace("-", " ").lower()

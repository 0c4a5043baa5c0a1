"""Explains MAAS's refusals of a value with the values that MAAS accepts."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from maas_mcp.api import MaasBadRequestError, MaasClient, MaasError, MaasModel, MachineText

MAX_NAMED: Final = 30
"""Values that a hint names."""
LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "zone": ("zones/", "zones"),
    "pool": ("resourcepools/", "resource pools"),
    "domain": ("domains/", "domains"),
}
"""By the field's name, the path of the list and the noun of the values."""


class _Named(MaasModel):
    name: MachineText


class _Parameter(MaasModel):
    name: str
    required: bool = False
    default: Any = None
    """MAAS uses it for a missing parameter."""


class _PowerType(MaasModel):
    name: str
    fields: tuple[_Parameter, ...] = ()


@asynccontextmanager
async def explained_refusal(maas: MaasClient, power_type: str | None = None) -> AsyncIterator[None]:
    """Add to MAAS's refusal of a zone, resource pool, domain, power type or power parameter what MAAS accepts.

    Args:
        maas: The client.
        power_type: The power type of the request, if it has one.
    """
    try:
        yield
    except MaasBadRequestError as error:
        with suppress(MaasError):
            expected = [await _expected(maas, name, power_type) for name in error.fields]
            error.hint = " ".join(filter(None, [*expected, error.hint])) or None
        raise


async def _expected(maas: MaasClient, name: str, power_type: str | None) -> str:
    if name in LISTS:
        path, nouns = LISTS[name]
        names = sorted(f"{each.name}" for each in _Named.list_from_response(await maas.get(path)))
        return f"MAAS has the {nouns} {_join(names)}."
    if name not in {"power_type", "power_parameters"}:
        return ""
    described = await maas.get_op("rackcontrollers/", "describe_power_types")
    known = {each.name: each for each in _PowerType.list_from_response(described)}
    if name == "power_type":
        return f"MAAS has the power types {_join(sorted(known))}."
    if power_type not in known:
        return ""
    fields = [
        f"{each.name}{' (required)' if each.required and not each.default else ''}" for each in known[power_type].fields
    ]
    return f"The power type {power_type} has {f'the parameters {_join(fields)}' if fields else 'no parameters'}."


def _join(names: list[str]) -> str:
    more = [f"… and {len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else []
    return ", ".join([*names[:MAX_NAMED], *more]) or "none"

"""The arguments by which machines are filtered, and the informer's filter that they stand for."""

from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from maas_inventory.arguments import Text
from maas_mcp.api import MachineStatus

if TYPE_CHECKING:
    from maas_inventory.informer.filters import Filter

FAILED: Final = "failed"
"""Stands for all statuses of a failure."""
STATUSES: Final = [*(status.filter_value for status in MachineStatus), FAILED]
NO_OWNER: Final = "none"
"""Stands for machines without an owner, as in counts. An empty text would leave the filter out."""
GIGABYTE: Final = 1_000.0
"""Megabytes in a gigabyte, as MAAS counts storage."""
Least = Annotated[int, Field(ge=0)]


def _normalize(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


_BY_NAME: Final = {
    FAILED: [each for each in MachineStatus if each.filter_value.startswith(f"{FAILED}_")],
    **{_normalize(name): [each] for each in MachineStatus for name in (each.display, each.name)},
}


def _check_status(status: str) -> str:
    known = _BY_NAME.get(_normalize(status))
    if known is None:
        raise ValueError(f"expected one of {', '.join(STATUSES)}")
    return known[0].filter_value if len(known) == 1 else _normalize(status)


StatusFilter = Annotated[str, AfterValidator(_check_status), WithJsonSchema({"type": "string", "enum": STATUSES})]
"""A status as MAAS's list filter expects it (``failed_deployment``) or as MAAS shows it (``Failed deployment``)."""


def _check_mac(text: str) -> str:
    from maas_inventory.informer.filters import read_mac  # noqa: PLC0415 - only a call needs it

    mac = read_mac(text)
    if mac is None:
        raise ValueError("expected a whole MAC address, such as 52:54:00:aa:07:01")
    return mac


def _check_network(text: str) -> str:
    try:
        ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError("expected an IP address or a CIDR, such as 10.0.3.7 or 10.0.3.0/24") from None
    return text.strip()


class MachineFilter(BaseModel, defer_build=True):
    """The filters. Without a filter, all machines match."""

    status: list[StatusFilter] | None = Field(default=None, description="`failed`: all failures.")
    hostname: list[Text] | None = Field(default=None, description="Names or FQDNs; globs.")
    owner: Text | None = Field(default=None, description="`none`: without an owner.")
    agent_name: Text | None = None
    zone: Text | None = None
    pool: Text | None = None
    tags: list[Text] | None = Field(default=None, description="All of them.")
    not_tags: list[Text] | None = None
    architecture: Text | None = None
    mac_address: Annotated[str, AfterValidator(_check_mac)] | None = None
    ip_address: Annotated[str, AfterValidator(_check_network)] | None = Field(default=None, description="Or a CIDR.")
    power_state: Literal["on", "off", "unknown", "error"] | None = None
    min_cpu_count: Least = 0
    min_memory: Least = Field(default=0, description="Megabytes.")
    min_storage: Least = Field(default=0, description="Gigabytes.")

    def of_informer(self) -> "Filter":
        """The informer's filter."""
        from maas_inventory.informer.filters import Filter  # noqa: PLC0415 - only a call needs it

        return Filter(
            names=tuple(self.hostname or ()),
            statuses=tuple(status for each in self.status or () for status in _BY_NAME[_normalize(each)]),
            zones=_one(self.zone),
            pools=_one(self.pool),
            tags=tuple(self.tags or ()),
            not_tags=tuple(self.not_tags or ()),
            owners=_one("" if self.owner == NO_OWNER else self.owner),
            agent_name=self.agent_name,
            architectures=_one(self.architecture),
            power_states=_one(self.power_state),
            mac_addresses=_one(self.mac_address),
            ip_addresses=_one(self.ip_address),
            min_cpu_count=self.min_cpu_count,
            min_memory=self.min_memory,
            min_storage=self.min_storage * GIGABYTE,
        )

    def given(self) -> dict[str, object]:
        """The filters that are set, by name."""
        names = MachineFilter.model_fields
        return {name: value for name in names if (value := getattr(self, name)) not in (None, [], 0)}


def _one(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)

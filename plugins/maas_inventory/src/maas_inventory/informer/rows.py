"""Rows: the wanted fields of a machine, decoded from MAAS's 19 kB by msgspec, leniently if necessary."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
from pydantic import Field

from maas_mcp.api import LeftOut, MaasModel, Machine, MachineStatus

JSON = Any
"""A parsed JSON value."""

MAX_SHARED: Final = 4_096
"""Strings and tuples that rows share. With more, sharing starts again, so that it needs no more memory."""
_SYSTEM_ID: Final = re.compile(r"[a-z0-9]{1,41}")


class Row(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A machine with the fields that lists filter, sort and show. They have the names and values of MAAS's JSON.

    A field with an unreadable value has its default, and :attr:`unreadable` names it. As for ``Machine``, the default
    is the safe one: an unreadable ``locked`` is true, and an unreadable ``owner`` is an unknown user.
    """

    system_id: str
    status: int
    """MAAS's number, perhaps of a status that this release does not know."""
    status_name: str
    hostname: str
    """The system id if MAAS's value is unreadable."""
    fqdn: str = ""
    domain: str | None = None
    owner: str | None = None
    locked: bool = False
    zone: str | None = None
    pool: str | None = None
    power_state: str = "unknown"
    power_type: str | None = None
    architecture: str | None = None
    cpu_count: int = 0
    memory: int = 0
    """Megabytes."""
    storage: float = 0.0
    """Megabytes of 1,000,000 bytes."""
    tag_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    mac_addresses: tuple[str, ...] = ()
    """Of all interfaces, in lower case."""
    osystem: str = ""
    distro_series: str = ""
    hwe_kernel: str | None = None
    ephemeral_deploy: bool = False
    netboot: bool = True
    description: str = ""
    error_description: str = ""
    pod: str | None = None
    """The VM host of a virtual machine."""
    commissioning_status_name: str = ""
    testing_status_name: str = ""
    current_commissioning_result_id: int | None = None
    current_testing_result_id: int | None = None
    current_installation_result_id: int | None = None
    unreadable: tuple[str, ...] = ()
    """The fields of MAAS's JSON that cannot be read."""


class Rows(msgspec.Struct, gc=False):
    """The machines of a response."""

    rows: list[Row]
    left_out: list[LeftOut]
    """Machines without a readable system id or status."""

    def may_hide(self, system_id: str) -> bool:
        """Whether a left-out entry is or may be this machine. An entry without a readable id may be any."""
        return any(each.identity in (system_id, None) for each in self.left_out)


class _Named(msgspec.Struct, gc=False):
    name: str


class _Interface(msgspec.Struct, gc=False):
    mac_address: str | None = None


class _Answer(msgspec.Struct, gc=False):
    """A machine as MAAS 3.3 to 3.7 sends it. A machine with other types of values is read as an ``_OddMachine``."""

    system_id: str
    status: int
    status_name: str = ""
    hostname: str = ""
    fqdn: str = ""
    domain: _Named | None = None
    owner: str | None = None
    locked: bool = False
    zone: _Named | None = None
    pool: _Named | None = None
    power_state: str = "unknown"
    power_type: str | None = None
    architecture: str | None = None
    cpu_count: int = 0
    memory: int = 0
    storage: float = 0.0
    tag_names: list[str] = []
    ip_addresses: list[str] = []
    interface_set: list[_Interface] = []
    osystem: str | None = ""
    distro_series: str | None = ""
    hwe_kernel: str | None = None
    ephemeral_deploy: bool = False
    netboot: bool = True
    description: str | None = ""
    error_description: str | None = ""
    pod: _Named | None = None
    commissioning_status_name: str = ""
    testing_status_name: str = ""
    current_commissioning_result_id: int | None = None
    current_testing_result_id: int | None = None
    current_installation_result_id: int | None = None


class _OddInterface(MaasModel):
    mac_address: str | None = None


class _OddMachine(Machine):
    """Reads a machine with odd values field by field."""

    interface_set: list[_OddInterface] = Field(default_factory=list)


_ENTRIES: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ENTRY: Final = msgspec.json.Decoder(_Answer)
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""Errors of msgspec. Before its release 0.23, its own errors are no ``ValueError``."""
_OF_MACHINE: Final = tuple(name for name in Row.__struct_fields__ if name in Machine.model_fields)


class RowReader:
    """Reads rows. Equal strings and lists of them are kept once, because most machines have the same ones."""

    def __init__(self) -> None:
        self._shared: dict[Any, Any] = {}

    def read_body(self, body: bytes) -> Rows:
        """Read the response of ``GET machines/``.

        Raises:
            ValueError: It is not a JSON list.
        """
        try:
            entries = _ENTRIES.decode(body)
        except _UNREADABLE:
            return self.read_list(_parse(body))
        found = Rows([], [])
        for number, entry in enumerate(entries, start=1):
            try:
                found.rows.append(self._row(_ENTRY.decode(entry)))
            except _UNREADABLE:
                self._add(found, _parse(bytes(entry)), number)
        return found

    def read_list(self, machines: JSON) -> Rows:
        """Read machines from parsed JSON.

        Raises:
            ValueError: It is not a list.
        """
        if not isinstance(machines, list):
            raise ValueError("expected a list of machines")  # noqa: TRY004 - as for JSON that cannot be parsed
        found = Rows([], [])
        for number, machine in enumerate(machines, start=1):
            try:
                found.rows.append(self._row(msgspec.convert(machine, _Answer)))
            except _UNREADABLE:
                self._add(found, machine, number)
        return found

    def _add(self, found: Rows, machine: JSON, number: int) -> None:
        """Read a machine field by field. ``number`` names an entry without a readable name."""
        read = _OddMachine.list_from_response([machine])
        for odd in read:
            found.rows.append(self._row_of(odd))
        for each in read.left_out:
            found.left_out.append(replace(each, name=f"entry {number}") if each.name == "entry 1" else each)

    def _row(self, read: _Answer) -> Row:
        if not _SYSTEM_ID.fullmatch(read.system_id) or not math.isfinite(read.storage):
            raise ValueError("an id or number that cannot be used")
        share = self._share
        return Row(
            system_id=read.system_id,
            status=read.status,
            status_name=share(read.status_name or _status_name(read.status)),
            hostname=read.hostname or read.system_id,
            fqdn=read.fqdn,
            domain=share(read.domain.name) if read.domain else None,
            owner=share(read.owner),
            locked=read.locked,
            zone=share(read.zone.name) if read.zone else None,
            pool=share(read.pool.name) if read.pool else None,
            power_state=share(read.power_state),
            power_type=share(read.power_type),
            architecture=share(read.architecture),
            cpu_count=read.cpu_count,
            memory=read.memory,
            storage=read.storage,
            tag_names=self._share_all(read.tag_names),
            ip_addresses=tuple(read.ip_addresses),
            mac_addresses=_macs(each.mac_address for each in read.interface_set),
            osystem=share(read.osystem or ""),
            distro_series=share(read.distro_series or ""),
            hwe_kernel=share(read.hwe_kernel),
            ephemeral_deploy=read.ephemeral_deploy,
            netboot=read.netboot,
            description=read.description or "",
            error_description=share(read.error_description or ""),
            pod=share(read.pod.name) if read.pod else None,
            commissioning_status_name=share(read.commissioning_status_name),
            testing_status_name=share(read.testing_status_name),
            current_commissioning_result_id=read.current_commissioning_result_id,
            current_testing_result_id=read.current_testing_result_id,
            current_installation_result_id=read.current_installation_result_id,
        )

    def _row_of(self, machine: _OddMachine) -> Row:
        values: dict[str, Any] = {}
        for name in _OF_MACHINE:
            value = getattr(machine, name)
            values[name] = self._share(str(value)) if isinstance(value, str) else value
        values |= {
            "status": int(machine.status),
            "status_name": values["status_name"] or _status_name(machine.status),
            "hostname": values["hostname"] or machine.system_id,
            "tag_names": self._share_all(machine.tag_names),
            "ip_addresses": tuple(machine.ip_addresses),
            "mac_addresses": _macs(each.mac_address for each in machine.interface_set),
            "unreadable": tuple(name for name in machine.unreadable if name in _Answer.__struct_fields__),
        }
        return Row(**values)

    def _share(self, text: str | None) -> Any:
        if text is None:
            return None
        return self._shared[text] if text in self._shared else self._keep(text, text)

    def _share_all(self, texts: Sequence[str]) -> tuple[str, ...]:
        key = tuple(texts)
        kept: tuple[str, ...] | None = self._shared.get(key)
        return self._keep(key, tuple(map(self._share, key))) if kept is None else kept

    def _keep(self, key: Any, value: Any) -> Any:
        if len(self._shared) >= MAX_SHARED:
            self._shared.clear()
        return self._shared.setdefault(key, value)


def _macs(addresses: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.lower() for each in addresses if each))


def _status_name(status: int) -> str:
    try:
        return MachineStatus(status).display
    except ValueError:
        return f"status {status}"


def _parse(text: bytes) -> JSON:
    """Parse JSON with Python's own parser, which accepts ``NaN`` and numbers beyond the range of a float.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None

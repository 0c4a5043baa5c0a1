"""The list of running operations, collected from several requests, some of which may have failed."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from maas_mcp.errors import MaasMcpError, OperationCancelledError
from maas_mcp.maas.models import SystemId
from maas_mcp.operations.cancellation import is_cancellation
from maas_mcp.operations.declaring.tool import plugin_error
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.running.status import OperationStatus

logger = logging.getLogger(__name__)


Key = tuple[int, str, str, str]
"""The place of an operation in the list: its kind, the hostname, the handle's system id and the operation's name."""


class Kind(IntEnum):
    """The kind of an operation, in the order of the list."""

    REGION = 0
    BATCH = 1
    MACHINE = 2


class Entry(NamedTuple):
    """An operation in the list."""

    key: Key
    status: OperationStatus[Any]


@dataclass(slots=True)
class OperationListing:
    """The running operations that were found so far."""

    entries: list[Entry] = field(default_factory=list)
    any_read: bool = False
    """Whether the machines could be read."""
    hostnames: dict[SystemId, str] = field(default_factory=dict)
    parts: dict[SystemId, Handle] = field(default_factory=dict)
    """The batch of each machine that belongs to one."""
    unreadable: list[str] = field(default_factory=list)
    """The failed requests, with their errors."""
    error: MaasMcpError | None = None
    """The first error."""

    def add(self, kind: Kind, statuses: Iterable[OperationStatus[Any]]) -> None:
        """Add operations of a kind. The names of their machines are known."""
        for status in statuses:
            handle = status.handle
            name = self.hostnames.get(handle.system_id, "")
            self.entries.append(Entry((kind, name, handle.system_id, handle.operation), status))

    def sorted_after(self, key: Key | None) -> list[Entry]:
        """The operations in their order, which follow the one with this key even if it has ended."""
        return sorted((each for each in self.entries if key is None or each.key > key), key=lambda each: each.key)

    @contextmanager
    def recording_errors(self, what: str) -> Iterator[None]:
        """Record an error of MAAS or a plugin in the block, and continue. ``what`` names the block in messages."""
        try:
            yield
        except OperationCancelledError:
            raise
        except BaseException as error:
            if is_cancellation(error):
                raise
            if not isinstance(error, MaasMcpError):
                logger.exception("%s could not be read", what)
            known = error if isinstance(error, MaasMcpError) else plugin_error(what, error)
            self.unreadable.append(f"{what}: {known.message}")
            self.error = self.error or known

"""Ownership: the machines and runs that belong to the user of the API key."""

from maas_mcp.errors import MaasError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine
from maas_mcp.operations.judging.evidence import Evidence
from maas_mcp.operations.judging.lifecycle import Lifecycle
from maas_mcp.operations.watching.shared_reads import SharedReads


class Caller:
    """The user of the API key, read once.

    Args:
        maas: The region.
        reads: The reads that concurrent calls share.
    """

    def __init__(self, maas: MaasClient, reads: SharedReads) -> None:
        self._maas = maas
        self._reads = reads
        self._username: str | None = None

    @property
    def known_name(self) -> str | None:
        """The username, if it was already read."""
        return self._username

    async def name(self) -> str:
        """Return the username.

        Raises:
            MaasError: MAAS cannot be reached.
        """
        return await self.read_name(self._maas)

    async def name_if_known(self) -> str | None:
        """Return the username, or ``None`` if MAAS does not answer. Advice works without it."""
        try:
            return await self.name()
        except MaasError:
            return None

    async def read_name(self, maas: MaasClient) -> str:
        """Read the username through a client with other retries, so that later calls need no request.

        Raises:
            MaasError: MAAS cannot be reached.
        """
        if self._username is None:
            self._username = (await self._reads.whoami(maas)).username
        return self._username

    async def owns(self, machine: Machine) -> bool:
        """Whether the caller owns the machine."""
        return machine.owner == await self.name()

    async def other_owner(self, machine: Machine) -> str | None:
        """The machine's owner if it is another user. An unknown caller counts as another user."""
        if machine.owner is None or machine.owner == await self.name_if_known():
            return None
        return machine.owner

    async def started(self, lifecycle: Lifecycle, evidence: Evidence) -> bool:
        """Whether the caller started the observed run; true if MAAS does not record who did.

        Raises:
            MaasError: The caller's name cannot be read.
        """
        starter = _started_by(lifecycle, evidence)
        return starter is None or starter == await self.name()


def _started_by(lifecycle: Lifecycle, evidence: Evidence) -> str | None:
    """The user who started the run, if known.

    MAAS 3.7 logs ``User starting …`` with the name just before the machine enters the status. Without that event, it is
    the new owner of a machine in a pending status.
    """
    if evidence.timeline.started_by is not None:
        return evidence.timeline.started_by
    machine = evidence.machine
    if machine is None or machine.status not in lifecycle.pending or machine.owner == evidence.baseline.machine.owner:
        return None
    return machine.owner

"""Whose a machine and a run are: what the user of the API key owns, and what that user has started."""

from maas_mcp.errors import MaasError
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import Machine
from maas_mcp.operations.judging.evidence import Evidence
from maas_mcp.operations.judging.lifecycle import Lifecycle
from maas_mcp.operations.watching.shared_reads import SharedReads


class Caller:
    """The user whose API key is used; asked for once.

    Args:
        maas: The region.
        reads: What concurrent calls read together.
    """

    def __init__(self, maas: MaasClient, reads: SharedReads) -> None:
        self._maas = maas
        self._reads = reads
        self._username: str | None = None

    @property
    def known_name(self) -> str | None:
        """The username, if MAAS was asked for it already."""
        return self._username

    async def name(self) -> str:
        """The username.

        Raises:
            MaasError: MAAS cannot be asked.
        """
        return await self.introduce(self._maas)

    async def name_if_known(self) -> str | None:
        """The username, or ``None`` if MAAS does not answer: advice can do without."""
        try:
            return await self.name()
        except MaasError:
            return None

    async def introduce(self, maas: MaasClient) -> str:
        """The same, asked for through a client that may retry otherwise, so that nothing is left to ask later.

        Raises:
            MaasError: MAAS cannot be asked.
        """
        if self._username is None:
            self._username = (await self._reads.whoami(maas)).username
        return self._username

    async def owns(self, machine: Machine) -> bool:
        """Whether the machine is the caller's."""
        return machine.owner == await self.name()

    async def other_owner(self, machine: Machine) -> str | None:
        """Whose the machine is, if it is somebody else's as far as MAAS says who the caller is."""
        if machine.owner is None or machine.owner == await self.name_if_known():
            return None
        return machine.owner

    async def started(self, lifecycle: Lifecycle, evidence: Evidence) -> bool:
        """Whether the run that was seen is the caller's, as far as MAAS says whose it is.

        Raises:
            MaasError: MAAS cannot be asked who the caller is.
        """
        starter = _starter(lifecycle, evidence)
        return starter is None or starter == await self.name()


def _starter(lifecycle: Lifecycle, evidence: Evidence) -> str | None:
    """Who started the run.

    MAAS 3.7 writes ``User starting …``, with the name, just before the machine enters the status. Where that event is
    missing, it is the user who has become the owner of a machine that is at it.
    """
    if evidence.timeline.started_by is not None:
        return evidence.timeline.started_by
    machine = evidence.machine
    if machine is None or machine.status not in lifecycle.pending or machine.owner == evidence.baseline.machine.owner:
        return None
    return machine.owner

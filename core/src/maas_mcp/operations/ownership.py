"""Whose a machine and a run are: what the user of the API key owns, and what that user has begun."""

import math

from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.models import NO_USER, Machine
from maas_mcp.operations.polling import Evidence, Lifecycle


class Ourselves:
    """The user whose API key is used; asked for once.

    Args:
        maas: The region.
    """

    def __init__(self, maas: MaasClient) -> None:
        self._maas = maas
        self._username: str | None = None

    async def own(self, machine: Machine) -> bool:
        """Whether the machine is ours."""
        return machine.owner == await self._name()

    async def began(self, lifecycle: Lifecycle, evidence: Evidence) -> bool:
        """Whether the run that was seen is ours, as far as MAAS says whose it is.

        Raises:
            MaasError: MAAS cannot be asked who we are.
        """
        doer = _doer(lifecycle, evidence)
        return doer is None or doer == await self._name()

    async def introduce(self, maas: MaasClient) -> None:
        """Ask who we are, through a client that may try otherwise, so that nothing is left to ask later.

        Raises:
            MaasError: MAAS cannot be asked.
        """
        if self._username is None:
            self._username = (await maas.whoami()).username

    async def _name(self) -> str | None:
        await self.introduce(self._maas)
        return self._username


def _doer(lifecycle: Lifecycle, evidence: Evidence) -> str | None:
    """Who began the run.

    MAAS 3.7 writes ``User starting …``, with the name, just before the machine enters the status; what people do later
    is no beginning. Where that event is not there, it is who has become the owner of a machine that is at it.
    """
    began = evidence.course.began
    entered = began.id if began else math.inf
    doers = [deed.username for deed in evidence.deeds if deed.id < entered and deed.username != NO_USER]
    if doers:
        return doers[-1]
    machine = evidence.machine
    if machine is None or machine.status not in lifecycle.pending or machine.owner == evidence.baseline.machine.owner:
        return None
    return machine.owner

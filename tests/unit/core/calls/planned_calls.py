"""Calls of the project's own tools through the chain, with plans."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from maas_mcp.calls.arguments import ClientFeatures
from maas_mcp.calls.call import CallResult
from maas_mcp.calls.chain import Run, run_call
from maas_mcp.calls.plan import Plan
from maas_mcp.calls.principal import LOCAL, Principal
from maas_mcp.operations.progress import discard_progress
from maas_mcp.policy.configuration import Policy
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.answers import Answers
from maas_mcp.testing.host import Host
from maas_simulator.model.faults import RequestRecord
from tests.own_plugins import own_tools


@dataclass
class Caller:
    """One user of a host."""

    host: Host
    principal: Principal = LOCAL
    answers: Answers | None = None
    client_name: str = ""
    run: Run | None = None
    """Runs after the steps, instead of the tool."""

    async def call(self, name: str, /, **arguments: Any) -> CallResult:
        """Call a tool by its name."""
        host = self.host.host
        self.answers = self.answers or Answers(None)
        return await run_call(
            host,
            host.tools[name],
            arguments,
            connection=host.connections.connect(self.principal),
            sender=lambda _token: discard_progress,
            user=self.answers,
            client=ClientFeatures(name=self.client_name),
            run=self.run,
        )

    async def plan(self, name: str, /, **arguments: Any) -> Plan:
        """Plan a call."""
        plan = (await self.call(name, plan=True, **arguments)).plan
        assert plan is not None
        return plan

    def answering(self, answers: Mapping[str, BaseModel] | None) -> "Caller":
        """The same user with a client that passes on these answers."""
        return replace(self, answers=Answers(answers))


@asynccontextmanager
async def caller(region: MaasRegion, mode: str = "standard", **policy: Any) -> AsyncIterator[Caller]:
    """A host with the project's own tools and a policy, and its local user, who cannot be asked."""
    async with region.host() as host:
        host.host.serve({**own_tools(), **host.host.tools})
        host.host.policy.use(host.host.settings.model_copy(update={"mode": mode, "policy": Policy(**policy)}))
        yield Caller(host)


def changes(region: MaasRegion) -> list[RequestRecord]:
    """The changing requests that the region has received."""
    return [each for each in region.requests if each.method != "GET"]


def system_id(region: MaasRegion, hostname: str = "node01") -> str:
    """The system id of a machine."""
    return region.machine(hostname).system_id


def deployed(region: MaasRegion, hostname: str = "node01", owner: str = "admin") -> str:
    """Deploy a machine. Returns its system id."""
    region.deploy(hostname, owner)
    region.advance(3600)
    return system_id(region, hostname)

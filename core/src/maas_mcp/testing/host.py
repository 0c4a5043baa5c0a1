"""A host without MCP that runs tools and operations on a simulated region in the same process."""

import os
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final, cast

from pydantic import BaseModel, SecretStr

from maas_mcp.calls import host as calls
from maas_mcp.calls.call import CallResult
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.contributed import Choices, ListChoices, SentContent, find_resource
from maas_mcp.calls.tenant import Tenant
from maas_mcp.maas.address import RegionAccess
from maas_mcp.maas.client import MaasClient
from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.maas.request_slots import RequestSlots
from maas_mcp.operations.declaring.completion import Choice, Completion
from maas_mcp.operations.declaring.operation import CancelPolicy, LongRunning
from maas_mcp.operations.declaring.resource import Resource
from maas_mcp.operations.declaring.tool import ArgsT, ResultT, Tool
from maas_mcp.operations.progress import Progress
from maas_mcp.plugins.registry import AnyTool, Registry, load_registry
from maas_mcp.policy.configuration import STANDARD, Mode, Policy
from maas_mcp.settings import Settings
from maas_mcp.testing.answers import Answers
from maas_mcp.testing.wire import InProcessWire
from maas_simulator import SimulatedRegion, create_app

SECRET = "signs the ids of simulated operations"  # noqa: S105 - not secret, because it signs no real id
ADDRESS = "http://127.0.0.1:5240/MAAS"
"""The URL of the region. It is never opened, because the region is in the same process."""


UNCONFIRMED: Final = Policy(modes={STANDARD: Mode(destroy="allow")})
"""The policy of calls without answers: a plugin's test needs no plan to destroy something."""
CONFIRMED: Final = Policy()
"""The policy of calls with answers: the user is asked before something is destroyed."""
POLL_INTERVAL: Final = 8.0
"""Seconds between polls. The stages of a deployment that its progress shows are longer, so it is the same as with the
default, which takes more than twice the requests."""


def settings_for(region: SimulatedRegion, username: str) -> Settings:
    """Return settings for the region that ignore the environment and configuration files."""
    return Settings.model_construct(
        maas_url=ADDRESS,
        maas_api_key=SecretStr(region.api_key_of(username)),
        secret=(SecretStr(SECRET),),
        policy=UNCONFIRMED,
        audit="off",
        poll_interval=POLL_INTERVAL,
        answer_within=0.0,  # the tests' clock may pass hours during a call
    )


def connector(region: SimulatedRegion) -> Callable[[RegionAccess, RequestSlots | None], MaasClient]:
    """Return a function that creates clients of the region. They use all the real code except the socket."""
    app = create_app(region)

    def connect(access: RegionAccess, slots: RequestSlots | None = None) -> MaasClient:
        return MaasClient(HttpTransport(access, slots=slots, wire=InProcessWire(app)))

    return connect


class RecordedAudit:
    """Keeps the audit in memory."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, Any]] = []

    async def write(self, fields: Mapping[str, Any], /) -> None:
        """Keep a line."""
        self.lines.append(fields)


class Host:
    """Runs tools and operations on a region as the server does, and records their progress."""

    def __init__(
        self,
        region: SimulatedRegion,
        host: calls.Host,
        tenant: Tenant,
        settings: Settings,
        now: Callable[[], float],
        *,
        audit: RecordedAudit,
    ) -> None:
        self.region = region
        self.host = host
        """The server's host object."""
        self.tenant = tenant
        """The user of the API key."""
        self.settings = settings
        self.now = now
        self.audit = audit
        """The audit since the host was opened."""
        self.progress: list[Progress] = []
        self.answers = Answers(None)
        """The client's answers in the latest call."""
        self._connection = host.connections.connect()

    async def call(
        self,
        tool: type[Tool[ArgsT, ResultT]] | type[LongRunning[ArgsT, ResultT]],
        machine: str = "",
        /,
        *,
        on_cancel: CancelPolicy | None = None,
        answers: Mapping[str, BaseModel] | None = None,
        **arguments: Any,
    ) -> ResultT:
        """Call a tool, or start an operation and follow it to its end.

        Args:
            tool: The tool's or operation's class.
            machine: A hostname or system id, for the argument ``system_id``.
            on_cancel: A cancel policy that replaces the operation's own.
            answers: The user's answers, by key. The call is then confirmed as the standard mode requires. ``None`` for
                a client that cannot ask; such a call needs no confirmation.
            arguments: The arguments as a client passes them.

        Raises:
            MaasMcpError: The arguments are invalid, the call failed, or the result does not match the class.
            RuntimeError: The operation was not started, because it was already running.
        """
        given = {"system_id": self.region.machine(machine).system_id, **arguments} if machine else arguments
        if on_cancel is not None:
            given["on_cancel"] = str(on_cancel)
        called: AnyTool = tool()
        outcome = await self._run(called, given, answers)
        if outcome.status is not None and outcome.status.problem is not None:
            raise outcome.status.problem
        if outcome.result is None:
            message = outcome.status.message if outcome.status else ""
            raise RuntimeError(f"{tool.name} was not started, because it is already running: {message}")
        return cast(ResultT, outcome.result)

    async def read(self, resource: type[Resource], machine: str = "", /, **variables: str) -> str | bytes:
        """Read a resource.

        Args:
            resource: The resource's class.
            machine: A hostname or system id, for the variable ``system_id``.
            variables: The values of the template's variables.

        Returns:
            Text, JSON text of a model, or bytes, as a client receives them.

        Raises:
            ResourceNotFoundError: There is no such resource.
            MaasMcpError: It could not be read.
        """
        if machine:
            variables["system_id"] = self.region.machine(machine).system_id
        read = find_resource([resource()], resource.template.expand(variables))
        content = (await self._run(read, {})).result
        if not isinstance(content, SentContent):
            raise TypeError(f"{resource.__qualname__} has no content")
        return b64decode(content.blob) if content.blob is not None else content.text or ""

    async def complete(self, completion: type[Completion], typed: str = "") -> list[str]:
        """Complete an argument. Returns the values that begin with ``typed``, or have a name that does.

        Raises:
            MaasMcpError: The values could not be read.
        """
        choices = (await self._run(ListChoices(completion()), {})).result
        if not isinstance(choices, Choices):
            raise TypeError(f"{completion.__qualname__} has no choices")
        return [value for value, names in choices.values if Choice(value, tuple(names)).matches(typed)]

    async def _run(
        self, called: AnyTool, given: Mapping[str, Any], answers: Mapping[str, BaseModel] | None = None
    ) -> CallResult:
        """Run a tool with the settings and states of the installed plugins."""
        installed = installed_plugins()
        self.host.serve({**installed.tools, called.name: called})
        self.host.plugins.use(installed.plugins)
        self._use_policy(UNCONFIRMED if answers is None else CONFIRMED)
        self._connection, self.progress = self.host.connections.connect(), []
        self.answers = Answers(answers)
        return await run_call(
            self.host,
            called,
            given,
            connection=self._connection,
            sender=lambda _token: self._record,
            user=self.answers,
        )

    def _use_policy(self, policy: Policy) -> None:
        """Use a policy, unless the test has set one."""
        if self.host.policy.rules in (UNCONFIRMED, CONFIRMED):
            self.host.policy.use(self.settings.model_copy(update={"policy": policy}))

    def cancel(self) -> None:
        """Cancel the latest call, as a client does."""
        self._connection.cancel()

    async def _record(self, progress: Progress) -> None:
        self.progress.append(progress)


def installed_plugins(*, strict: bool = False) -> Registry:
    """Return the installed plugins, with their settings from the environment. The tested tool may call their tools.

    Raises:
        PluginError: With ``strict``, an installed plugin cannot be used.
    """
    variables = frozenset((name, value) for name, value in os.environ.items() if "MAAS" in name)
    return _installed(variables, strict=strict)


@cache
def _installed(_environment: frozenset[tuple[str, str]], *, strict: bool) -> Registry:
    return load_registry(strict=strict)


@asynccontextmanager
async def open_host(region: SimulatedRegion, now: Callable[[], float], username: str) -> AsyncIterator[Host]:
    """Open a host during the block. ``now`` returns seconds since 1970."""
    settings, audit = settings_for(region, username), RecordedAudit()
    opened = calls.open_host(settings, {}, connect=connector(region), now=now, open_audit=lambda _settings: audit)
    async with opened as host, host.tenant() as tenant:
        yield Host(region, host, tenant, settings, now, audit=audit)

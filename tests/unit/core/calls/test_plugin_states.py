"""The settings and states of plugins: entered when a call needs them, apart for each caller, left in order."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from maas_mcp.api import (
    EventNews,
    Lifecycle,
    LifespanContext,
    MaasUnavailableError,
    MachineStatus,
    Operation,
    OperationContext,
    SystemId,
    Tool,
    ToolContext,
)
from maas_mcp.calls.chain import run_call
from maas_mcp.calls.host import Host, open_host
from maas_mcp.calls.lifespans import CLOSE_LIMIT
from maas_mcp.calls.principal import LOCAL, Principal, Scope
from maas_mcp.errors import PluginError
from maas_mcp.maas.address import ApiKey
from maas_mcp.operations.progress import discard_progress
from maas_mcp.plugins.contributions import Contributions
from maas_mcp.testing import MaasRegion
from maas_mcp.testing.host import connector, settings_for

pytestmark = pytest.mark.anyio


class Settings(BaseModel):
    greeting: str = "Hello"


class Nothing(BaseModel):
    pass


class Said(BaseModel):
    words: str


class Greet(Tool[Nothing, Said]):
    """Greet the caller."""

    name = "hello_greet"
    read_only = True

    async def run(self, ctx: ToolContext[Settings, str], args: Nothing) -> Said:  # noqa: ARG002 - there are none
        return Said(words=f"{ctx.settings.greeting}, {ctx.state}")


class Which(BaseModel):
    system_id: SystemId


class Rescue(Operation[Which, Said]):
    """Boot into rescue mode."""

    name = "hello_rescue"
    lifecycle = Lifecycle(
        start_from={MachineStatus.READY},
        pending={MachineStatus.ENTERING_RESCUE_MODE},
        success={MachineStatus.RESCUE_MODE},
    )

    async def start(self, ctx: OperationContext[Settings, str], args: Which) -> None:
        assert ctx.state
        await ctx.maas.post_op(f"machines/{args.system_id}/", "rescue_mode")

    async def result(self, ctx: OperationContext[Settings, str]) -> Said:
        return Said(words=f"{ctx.settings.greeting}, {ctx.state}")


class Plain(Tool[Nothing, Said]):
    """A tool of another plugin."""

    name = "plain_say"
    read_only = True

    async def run(self, ctx: ToolContext, args: Nothing) -> Said:  # noqa: ARG002 - there are none
        return Said(words=str(ctx.state))


@dataclass
class Recorded:
    """A plugin whose lifespans record when they are entered and left."""

    events: list[str] = field(default_factory=list)
    fails: BaseException | None = None
    """The exception of the next entry."""
    hangs: bool = False
    """Whether leaving takes for ever."""

    @asynccontextmanager
    async def process(self, settings: Settings) -> AsyncIterator[str]:
        self.events.append(f"process in, {settings.greeting}")
        async with anyio.create_task_group() as tasks:  # it must be left by the task that entered it
            yield "process"
            tasks.cancel_scope.cancel()
        self.events.append("process out")

    @asynccontextmanager
    async def principal(self, ctx: LifespanContext[Settings, str]) -> AsyncIterator[str]:
        if self.fails is not None:
            failure, self.fails = self.fails, None
            raise failure
        username = (await ctx.maas.whoami()).username
        self.events.append(f"{username} in, {ctx.process}")
        try:
            yield username
        finally:
            if self.hangs:
                await anyio.sleep_forever()
            await ctx.maas.version()
            self.events.append(f"{username} out")

    def contributions(self) -> Contributions:
        return Contributions(
            name="hello",
            plugin="'hello' of acme-hello 1.0",
            tools=(Greet(), Rescue()),
            settings=Settings(),
            process_lifespan=self.process,
            lifespan=self.principal,
        )


@pytest.fixture
def region() -> Iterator[MaasRegion]:
    with MaasRegion() as region:
        yield region


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def opened(region: MaasRegion) -> AbstractAsyncContextManager[Host]:
    return open_host(settings_for(region, "admin"), {}, connect=connector(region))


async def say(host: Host, tool: Tool[Any, Any] | Operation[Any, Any], principal: Principal = LOCAL) -> str:
    given = {"system_id": "7xneda"} if isinstance(tool, Operation) else {}
    answer = await run_call(
        host, tool, given, connection=host.connections.connect(principal), sender=lambda _token: discard_progress
    )
    assert isinstance(answer.result, Said)
    return answer.result.words


async def test_lifespans_are_entered_by_the_first_call_and_left_in_reverse_order(
    region: MaasRegion, recorded: Recorded
) -> None:
    async with opened(region) as host:
        host.plugins.use([recorded.contributions()])
        assert recorded.events == []

        assert [await say(host, Greet()) for _ in range(3)] == ["Hello, admin"] * 3
        assert recorded.events == ["process in, Hello", "admin in, process"]

    assert recorded.events == ["process in, Hello", "admin in, process", "admin out", "process out"]


async def test_each_principal_has_a_state_of_its_own(region: MaasRegion, recorded: Recorded) -> None:
    bob = Principal("bob", frozenset(Scope), ApiKey.parse(region.api_key_of("bob")))
    async with opened(region) as host:
        host.plugins.use([recorded.contributions()])

        assert await say(host, Greet()) == "Hello, admin"
        assert await say(host, Greet(), bob) == "Hello, bob"

    assert recorded.events.count("process in, Hello") == 1


async def test_concurrent_first_calls_enter_a_lifespan_once(region: MaasRegion, recorded: Recorded) -> None:
    async with opened(region) as host:
        host.plugins.use([recorded.contributions()])
        async with anyio.create_task_group() as calls:
            for _ in range(5):
                calls.start_soon(say, host, Greet())

        assert recorded.events == ["process in, Hello", "admin in, process"]


@pytest.mark.parametrize("failure", [ConnectionError("secret"), SystemExit(1)])
async def test_a_failing_lifespan_harms_only_the_calls_of_its_plugin_and_is_tried_again(
    region: MaasRegion, recorded: Recorded, failure: BaseException
) -> None:
    recorded.fails = failure
    async with opened(region) as host:
        host.plugins.use([recorded.contributions(), Contributions(name="plain", plugin="plain", tools=(Plain(),))])

        with pytest.raises(PluginError, match=r"'hello' of acme-hello 1.0 could not be prepared") as raised:
            await say(host, Greet())
        assert "secret" not in str(raised.value)
        with pytest.raises(PluginError, match=r"`ctx.state` is not available: the plugin declares no lifespan"):
            await say(host, Plain())
        assert await say(host, Greet()) == "Hello, admin"


async def test_a_lifespans_own_error_reaches_the_caller_unchanged(region: MaasRegion, recorded: Recorded) -> None:
    recorded.fails = MaasUnavailableError("The rack controller is away.")
    async with opened(region) as host:
        host.plugins.use([recorded.contributions()])
        with pytest.raises(MaasUnavailableError, match="The rack controller is away"):
            await say(host, Greet())


async def test_a_lifespan_that_hangs_at_its_end_delays_the_shutdown_only_briefly(
    region: MaasRegion, recorded: Recorded
) -> None:
    recorded.hangs = True
    async with opened(region) as host:
        host.plugins.use([recorded.contributions()])
        await say(host, Greet())
        began = anyio.current_time()

    assert anyio.current_time() - began < CLOSE_LIMIT * 3
    assert recorded.events[-1] == "process out"


async def test_an_operation_has_the_settings_and_the_state_of_its_plugin(recorded: Recorded) -> None:
    with MaasRegion() as region:
        async with region.host() as test:
            host = test.host
            host.serve({Rescue.name: Rescue()})
            host.plugins.use([recorded.contributions()])
            assert await say(host, Rescue()) == "Hello, admin"


async def test_a_lifespan_that_fails_while_it_is_open_is_entered_again_by_the_next_call(region: MaasRegion) -> None:
    breaks = anyio.Event()
    entered: list[str] = []

    @asynccontextmanager
    async def connected(ctx: LifespanContext[Settings]) -> AsyncIterator[str]:  # noqa: ARG001 - nothing of it is needed
        async def keep_connected() -> None:
            await breaks.wait()
            if len(entered) == 1:
                raise ConnectionError

        entered.append(f"connection {len(entered) + 1}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_connected)
            yield entered[-1]

    async with opened(region) as host:
        host.plugins.use(
            [Contributions(name="hello", plugin="hello", tools=(Greet(),), settings=Settings(), lifespan=connected)]
        )
        assert await say(host, Greet()) == "Hello, connection 1"
        breaks.set()
        await anyio.sleep(1)

        assert await say(host, Greet()) == "Hello, connection 2"


async def test_a_lifespan_receives_the_events_of_all_machines_while_it_is_open(region: MaasRegion) -> None:
    news: list[EventNews] = []

    @asynccontextmanager
    async def listening(ctx: LifespanContext[Settings]) -> AsyncIterator[str]:
        with ctx.events.listen(news.append):
            yield "listening"

    async with region.host() as test:
        host = test.host
        host.serve({Greet.name: Greet()})
        host.plugins.use(
            [Contributions(name="hello", plugin="hello", tools=(Greet(),), settings=Settings(), lifespan=listening)]
        )
        await say(host, Greet())
        await anyio.sleep(1)
        region.deploy("node02", "bob")
        await anyio.sleep(30)
        assert {event.hostname for each in news for event in each.events} == {"node02"}
        assert [each.complete for each in news] == [False, True, True]

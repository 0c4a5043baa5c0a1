"""Invalid declarations are rejected at their definition, with a fix."""

import functools
import threading
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from maas_mcp.api import (
    BatchOperation,
    CancelPolicy,
    EventPolling,
    Evidence,
    Lifecycle,
    Member,
    Milestone,
    Needs,
    Observation,
    Operation,
    OperationContext,
    Phase,
    PollingStrategy,
    RegionOperation,
    ScriptPolling,
    ScriptSetName,
    StatusPolling,
    Tool,
    ToolContext,
)
from maas_mcp.api import MachineStatus as S

T = TypeVar("T")


class Which(BaseModel):
    """Which machine."""

    system_id: str
    agent_name: str = ""


class Nothing(BaseModel):
    """Nothing."""


class Seen(NamedTuple):
    """One observation."""

    running: bool


class Rescue(Operation[Which, Nothing]):
    """Rescue a machine."""

    name = "acme_rescue"
    lifecycle = Lifecycle(start_from={S.READY}, pending={S.ENTERING_RESCUE_MODE}, success={S.RESCUE_MODE})

    async def start(self, ctx: OperationContext, args: Which) -> None:
        raise NotImplementedError

    async def result(self, ctx: OperationContext) -> Nothing:
        raise NotImplementedError


class Many(BatchOperation[Which, Nothing]):
    """Rescue many machines."""

    name = "acme_rescue_many"
    each = Rescue

    def size(self, args: Which) -> int:
        raise NotImplementedError

    async def members(self, ctx: ToolContext, args: Which, agent_name: str) -> Sequence[BaseModel]:
        raise NotImplementedError

    def result(self, members: Sequence[Member]) -> Nothing:
        raise NotImplementedError


class Import(RegionOperation[Nothing, Nothing, Seen]):
    """Import."""

    name = "acme_import"

    async def is_running(self, ctx: ToolContext) -> bool:
        raise NotImplementedError

    async def start(self, ctx: ToolContext, args: Nothing) -> None:
        raise NotImplementedError

    async def observe(self, ctx: ToolContext, earlier: Seen | None) -> Seen:
        raise NotImplementedError

    def assess(self, before: Seen | None, earlier: Seen | None, seen: Seen) -> Any:
        raise NotImplementedError

    async def result(self, ctx: ToolContext) -> Nothing:
        raise NotImplementedError


class Read(Tool[Nothing, Nothing]):
    """Read."""

    name = "acme_read"

    async def run(self, ctx: ToolContext, args: Nothing) -> Nothing:
        raise NotImplementedError


class Counting(PollingStrategy):
    """A valid strategy."""

    def measure(self, evidence: Evidence, observation: Observation) -> Milestone:
        raise NotImplementedError


def refused(match: str) -> AbstractContextManager[Any]:
    return pytest.raises(TypeError, match=match)


def define(base: type, **attributes: Any) -> Any:
    """Define a subclass with these attributes, as a plugin author would."""
    return type("Odd", (base,), {"__doc__": "Odd.", "__module__": __name__, **attributes})


async def awaited(*_: Any) -> Any:
    """A replacement for any method."""


async def generating(*_: Any) -> Any:
    yield 1


def plain(*_: Any) -> Any:
    """A replacement for any method."""


class TestDocstring:
    class Mixin:
        """A mixin that is no tool."""

    class Plain(ABC):
        """Describes an interface."""

        @abstractmethod
        def run(self) -> int:
            """Run."""

    class Interface(Protocol):
        """A protocol."""

    class Shared(Generic[T]):
        """Shared by many."""

    @pytest.mark.parametrize("base", [None, Mixin, Plain, Interface, Shared, dict, threading.local])
    @pytest.mark.parametrize("text", [None, "", " \n ", 5], ids=repr)
    def test_the_docstring_of_another_base_is_no_description(self, base: type | None, text: object) -> None:
        bases = (Tool[Nothing, Nothing], base) if base else (Tool[Nothing, Nothing],)
        body = {"name": "acme_bare", "run": Read.run, "__doc__": text, "__module__": __name__}
        with refused("Bare: expected a docstring, but there is none"):
            types.new_class("Bare", bases, {}, lambda space: space.update(body))

    def test_the_docstring_of_an_extended_tool_is_inherited(self) -> None:
        assert define(Read, __doc__=None).description() == "Read."

    def test_the_docstring_of_a_mixin_is_ignored(self) -> None:
        class Mixed(TestDocstring.Mixin, Read):
            name = "acme_mixed"

        assert Mixed.description() == "Read."


@pytest.mark.parametrize(
    ("base", "attribute", "value", "said"),
    [
        (Rescue, "name", 5, r"Odd\.name: expected a string, but it is 5\. Write `name = "),
        (Read, "name", b"acme_read", r"Odd\.name: expected a string"),
        *(
            (base, "deadline", value, r"Odd\.deadline: expected a positive timedelta, .* Write `deadline = timedelta")
            for base in (Rescue, Many, Import)
            for value in (30, 30.0, "30", None, timedelta(0), timedelta(seconds=-1), timedelta)
        ),
        (Import, "interval", 10, r"Odd\.interval: expected a positive timedelta, .* Write `interval = timedelta"),
        (Import, "interval", timedelta(0), r"Odd\.interval: expected a positive timedelta"),
        *(
            (Many, "starts_at_once", value, r"starts_at_once: expected a whole number of 1 or more, but it is")
            for value in (0, -1, 2.0, "2", True, None)
        ),
        (Many, "each", Rescue(), r"Odd\.each: expected an Operation class .* Write `each = YourOperation`"),
        (Many, "each", Read, r"Odd\.each: expected an Operation class"),
        (Many, "each", Operation, r"Odd\.each: expected an Operation class"),
        (Many, "each", None, r"Odd\.each: expected an Operation class"),
        *(
            (base, "on_cancel", value, rf"on_cancel: expected a CancelPolicy, .* `on_cancel = CancelPolicy\.{meant}`")
            for base in (Rescue, Many, Import)
            for value, meant in (("abort", "ABORT"), ("ABORT", "ABORT"), ("detach", "DETACH"), (None, "DETACH"))
        ),
        *(
            (
                base,
                "on_cancel",
                CancelPolicy.ABORT,
                r"expected a method `abort` for CancelPolicy\.ABORT, but there is none",
            )
            for base in (Rescue, Many, Import)
        ),
        (Rescue, "lifecycle", {"pending": {S.DEPLOYING}}, r"expected a class attribute `lifecycle = Lifecycle\("),
        (
            Rescue,
            "polling",
            Counting,
            r"Odd\.polling: expected an instance, but it is the class Counting\. Write `Count",
        ),
        (Rescue, "polling", dict, r"Odd\.polling: expected an instance, but it is the class dict"),
        (Rescue, "polling", None, r"Odd\.polling: expected an instance of a PollingStrategy, but it is .* NoneType"),
        (Rescue, "polling", [Phase("Deploying", 0.1)], r"but it is an object of type list\. Write `EventPolling"),
    ],
)
def test_an_attribute_of_the_wrong_type_is_rejected_at_the_definition(
    base: type, attribute: str, value: object, said: str
) -> None:
    with refused(said):
        define(base, **{attribute: value})


def test_an_abstract_base_may_be_incomplete() -> None:
    class Base(Rescue):
        name = ""
        deadline = None  # type: ignore[assignment] # subclasses set their own

    class Whole(Base):
        """Whole."""

        name = "acme_whole"
        deadline = timedelta(minutes=5)  # type: ignore[assignment] # as above

    assert Whole().deadline == timedelta(minutes=5)


def test_a_batch_needs_a_field_for_its_name() -> None:
    class Bare(BaseModel):
        system_id: str

    class Nameless(Rescue):
        """Rescue."""

        arguments = Bare

    Nameless.arguments = Bare
    with refused(r"Odd\.each: expected a field `agent_name` in Bare, but there is none\. Add `agent_name: str`"):
        define(Many, each=Nameless)


ASYNC = [
    *((Read, name) for name in ("run",)),
    *((Rescue, name) for name in ("start", "result", "abort", "differs")),
    *((Import, name) for name in ("is_running", "start", "observe", "result", "abort")),
    (Many, "members"),
]
PLAIN = [
    *((base, "summary") for base in (Read, Rescue, Many, Import)),
    *((Rescue, name) for name in ("system_id", "result_if_gone")),
    *((Many, name) for name in ("size", "result", "label")),
    (Import, "assess"),
]


class TestMethods:
    @pytest.mark.parametrize(("base", "name"), ASYNC)
    @pytest.mark.parametrize("given", [plain, generating, functools.partial(plain)])
    def test_an_awaited_method_must_be_async(self, base: type, name: str, given: Callable[..., Any]) -> None:
        with refused(rf"Odd\.{name}: expected an async function, .* Write `async def {name}\(self"):
            define(base, **{name: given})

    @pytest.mark.parametrize(("base", "name"), PLAIN)
    @pytest.mark.parametrize("given", [awaited, generating])
    def test_a_method_that_is_not_awaited_must_not_be_async(
        self, base: type, name: str, given: Callable[..., Any]
    ) -> None:
        with refused(rf"Odd\.{name}: expected a plain function, but it is an async one.* Write `def {name}\(self"):
            define(base, **{name: given})

    @pytest.mark.parametrize(("base", "name"), [*ASYNC, *PLAIN])
    def test_an_attribute_in_place_of_a_method_is_rejected(self, base: type, name: str) -> None:
        with refused(rf"Odd\.{name}: expected a"):
            define(base, **{name: 5})

    @pytest.mark.parametrize(
        ("base", "name"), [(Read, "run"), (Rescue, "result"), (Many, "members"), (Import, "observe")]
    )
    def test_a_method_must_accept_the_arguments_of_the_server(self, base: type, name: str) -> None:
        async def short(self: object) -> None:
            """Too few parameters."""

        with refused(rf"Odd\.{name}: expected it to take \(self, ctx.*\), but it takes \(self\)\. Write `"):
            define(base, **{name: short})

    def test_a_method_may_accept_more_rename_parameters_or_be_static(self) -> None:
        async def more(_self: object, _context: object, _given: object, verbose: object = None) -> None:
            """More parameters than required."""

        async def static(ctx: object, args: object) -> None:
            """Without an instance."""

        async def any_(*args: object, **options: object) -> None:
            """Accepts any arguments."""

        for method in (more, staticmethod(static), any_, functools.wraps(more)(any_)):
            assert define(Rescue, start=method)

    def test_a_property_must_stay_a_property(self) -> None:
        with refused(r"Odd\.can_abort: expected a property, but it is a method, .* Write `@property` above"):
            define(Rescue, can_abort=lambda _self: True)
        assert define(Rescue, can_abort=False)
        assert define(Rescue, can_abort=property(lambda _self: False))


class TestStrategy:
    def test_an_async_measure_is_rejected(self) -> None:
        strategy = define(Counting, measure=awaited)()
        with refused(r"Odd\.measure: expected a plain function, but it is an async one"):
            define(Rescue, polling=strategy)

    def test_a_measure_with_too_few_parameters_is_rejected(self) -> None:
        strategy = define(StatusPolling, measure=lambda _self, _evidence: (None, ""))()
        with refused(r"Odd\.measure: expected it to take \(self, evidence, observation\)"):
            define(Rescue, polling=strategy)

    @pytest.mark.parametrize(
        "needs",
        [
            None,
            Needs,
            {"events": True},
            Needs(events="yes"),  # type: ignore[arg-type] # under test
            Needs(script_sets={ScriptSetName.TESTING}),  # type: ignore[arg-type] # likewise
            Needs(script_sets=frozenset({"testing"})),  # type: ignore[arg-type] # likewise
        ],
        ids=repr,
    )
    def test_needs_of_the_wrong_type_are_rejected(self, needs: object) -> None:
        with refused(r"Odd\.needs: expected a .* but it is .* Write `"):
            define(Rescue, polling=define(Counting, needs=needs)())


class TestPhases:
    @pytest.mark.parametrize("strategy", [EventPolling, lambda phases: ScriptPolling(phases, {ScriptSetName.TESTING})])
    @pytest.mark.parametrize(
        "phases",
        [
            [("Deploying", 0.1)],
            ["Deploying"],
            [Phase],
            "Deploying",
            Phase("Deploying", 0.1),
            None,
            [Phase("Deploying", "0.1")],  # type: ignore[arg-type] # under test
            [Phase(0.1, "Deploying")],  # type: ignore[arg-type] # likewise
            [Phase("Deploying", True)],
            [Phase("Deploying", 0.1, message=5)],  # type: ignore[arg-type] # likewise
        ],
        ids=repr,
    )
    def test_anything_but_phases_is_rejected(self, strategy: Callable[[Any], PollingStrategy], phases: object) -> None:
        with refused(r'expected .* Phase, but .* Write `\[Phase\("Installing OS", 0\.4\), …\]`'):
            strategy(phases)

    def test_phases_from_an_iterator_are_kept(self) -> None:
        def phases() -> Iterator[Phase]:
            yield Phase("Deploying", 0.1)

        assert EventPolling(phases()).phases == (Phase("Deploying", 0.1),)  # type: ignore[arg-type] # authors may pass this
        assert ScriptPolling(phases(), {ScriptSetName.TESTING}).phases  # type: ignore[arg-type] # likewise


class TestLifecycle:
    @pytest.mark.parametrize("part", ["start_from", "pending", "success", "failure"])
    @pytest.mark.parametrize(
        ("given", "right"),
        [
            ({"Rescue mode"}, "S.RESCUE_MODE"),
            (["rescue_mode"], "S.RESCUE_MODE"),
            ({"RESCUE-MODE"}, "S.RESCUE_MODE"),
            ({"Recue mode"}, "S.RESCUE_MODE"),
            ({"Failed to enter rescue mode"}, "S.FAILED_ENTERING_RESCUE_MODE"),
            ({"Releasing failed"}, "S.FAILED_RELEASING"),
            ({16}, "S.RESCUE_MODE"),
            ({None}, "S.READY"),
            ("Rescue mode", "{S.RESCUE_MODE}"),
            (S.RESCUE_MODE, "{S.RESCUE_MODE}"),
            (16, "{S.RESCUE_MODE}"),
            (None, "{S.READY}"),
        ],
    )
    def test_anything_but_a_status_is_rejected_with_a_suggestion(self, part: str, given: object, right: str) -> None:
        parts: dict[str, Any] = {"start_from": {S.READY}, "pending": {S.DEPLOYING}, "success": {S.DEPLOYED}}
        with pytest.raises(TypeError) as refusal:
            Lifecycle(**{**parts, part: given})
        assert f"Lifecycle: `{part}`: expected a set of MachineStatus, but " in str(refusal.value)
        assert f"{right}`, with `from maas_mcp.api import MachineStatus as S`" in str(refusal.value)

    @pytest.mark.parametrize("status", S)
    def test_every_status_is_suggested_for_each_of_its_names(self, status: S) -> None:
        for name in (status.name, status.display, status.filter_value):
            with refused(rf"Write `S\.{status.name}`"):
                Lifecycle(start_from={name}, pending={S.DEPLOYING}, success={S.READY})  # type: ignore[arg-type]

    @given(st.one_of(st.text(), st.integers(), st.none(), st.floats(), st.binary()))
    def test_only_a_status_is_accepted_as_a_status(self, given: object) -> None:
        with refused("expected a set of MachineStatus"):
            Lifecycle(start_from=[given], pending={S.DEPLOYING}, success={S.READY})  # type: ignore[list-item]

    def test_anything_but_a_verdict_is_rejected(self) -> None:
        with refused(r"Lifecycle: `gone`: expected a Verdict, but it is 'SUCCEEDED'"):
            Lifecycle(start_from={S.READY}, pending={S.DEPLOYING}, success={S.DEPLOYED}, gone="SUCCEEDED")  # type: ignore[arg-type]

"""Tools with arguments of every type."""

from datetime import timedelta
from enum import IntEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr

from maas_mcp.api import Lifecycle, MachineStatus, Operation, OperationContext, SystemId, Tool, ToolContext
from maas_mcp.operations.declaring.operation import CancelPolicy


class Inner(BaseModel):
    """A part."""

    size: int | None = None


class Args(BaseModel):
    """Arguments of several types."""

    system_id: SystemId
    password: SecretStr | None = None
    count: int = Field(default=1, ge=1, le=3, description="Number of parts.")
    parts: list[Inner] = []


class Result(BaseModel):
    """A result."""

    system_id: SystemId
    note: str | None
    parts: list[Inner] = []


class Count(Tool[Args, Result]):
    """Count."""

    name = "maas_count"

    async def run(self, _ctx: ToolContext, args: Args) -> Result:
        return Result(system_id=args.system_id, note=None)


class Grow(Operation[Args, Result]):
    """Grow."""

    name = "maas_grow"
    lifecycle = Lifecycle(
        start_from={MachineStatus.READY}, pending={MachineStatus.TESTING}, success={MachineStatus.READY}
    )

    async def start(self, _ctx: OperationContext, _args: Args) -> None:
        """Never called here."""

    async def result(self, ctx: OperationContext) -> Result:
        return Result(system_id=ctx.system_id, note=None)


class Shrink(Grow):
    """Shrink."""

    name = "maas_shrink"

    async def abort(self, _ctx: OperationContext) -> None:
        """Never called here."""


class Colour(IntEnum):
    """A number with a name."""

    RED = 1


class Kinds(BaseModel):
    """Fields of types that are easily mistaken for others."""

    from_: str = Field("", alias="from")
    number: int = 0
    share: float = 0.0
    yes: bool = False
    pause: timedelta = timedelta(0)
    names: frozenset[str] = frozenset()
    colour: Colour = Colour.RED
    policy: CancelPolicy = CancelPolicy.DETACH


class Aliased(BaseModel):
    """A result whose field has another name for clients."""

    to_: str = Field(serialization_alias="to")


class Sort(Tool[Kinds, Aliased]):
    """Sort."""

    name = "maas_sort"

    async def run(self, _ctx: ToolContext, args: Kinds) -> Aliased:
        return Aliased(to_=args.from_)


class Square(BaseModel):
    """A shape."""

    kind: Literal["square"]
    side: int | None = None


class Circle(BaseModel):
    """Another shape."""

    kind: Literal["circle"]
    radius: int


class Forms(BaseModel):
    """Optional fields of types that clients send in several forms."""

    flag: bool = False
    number: int | None = None
    share: float | None = None
    text: str | None = None
    names: list[str] | None = None
    some: list[int] | None = Field(default=None, min_length=1)
    perhaps: list[int | None] = []
    level: Colour | None = None
    either: int | str | None = None
    sizes: dict[str, int] = {}
    inner: Inner | None = None
    parts: list[Inner] = []
    shape: Annotated[Square | Circle, Field(discriminator="kind")] | None = None
    pause: timedelta | None = None
    pair: tuple[int, str] | None = None
    anything: Any = None


class Fill(Tool[Forms, Result]):
    """Fill."""

    name = "maas_fill"

    async def run(self, _ctx: ToolContext, _args: Forms) -> Result:
        return Result(system_id="4y3h7n", note=None)


class Needs(BaseModel):
    """Required fields."""

    number: int
    text: str
    names: list[str]
    perhaps: int | None


class Need(Tool[Needs, Result]):
    """Need."""

    name = "maas_need"

    async def run(self, _ctx: ToolContext, _args: Needs) -> Result:
        return Result(system_id="4y3h7n", note=None)

"""Tools and operations ask the user before they change anything."""

from typing import Any

import pytest
from pydantic import BaseModel

from maas_mcp.api import (
    CannotAskError,
    Effects,
    Lifecycle,
    MachineStatus,
    NotAnsweredError,
    Operation,
    OperationContext,
    SystemId,
    Tool,
    ToolContext,
)
from maas_mcp.errors import PluginError
from maas_mcp.testing import MaasRegion
from maas_simulator import Fault
from tests.unit.core.calls.erasing import ErasingConsent, question_of


class Which(BaseModel):
    system_id: SystemId
    image: str | None = None


class Done(BaseModel):
    text: str


class Image(BaseModel):
    image: str


class AskFirst(Tool[Which, Done]):
    """Ask, and lock a machine."""

    name = "own_ask_first"

    async def run(self, ctx: ToolContext, args: Which) -> Done:
        answer = await ctx.ask("Which image?", Image, key="image")
        await ctx.maas.post_op(f"machines/{args.system_id}/", "lock")
        return Done(text=answer.image)


class AskLate(Tool[Which, Done]):
    """Describe a machine, and then ask."""

    name = "own_ask_late"

    async def run(self, ctx: ToolContext, args: Which) -> Done:
        await ctx.maas.put(f"machines/{args.system_id}/", description="changed")
        answer = await ctx.ask("Which image?", Image)
        return Done(text=answer.image)


class AskIfPossible(Tool[Which, Done]):
    """Ask, if the client can."""

    name = "own_ask_if_possible"

    async def run(self, ctx: ToolContext, args: Which) -> Done:
        return Done(text=(await ctx.ask("Which image?", Image)).image if ctx.can_ask() else args.system_id)


class Deploy(Operation[Which, Done]):
    """Deploy the image that the user chooses."""

    name = "own_deploy"
    lifecycle = Lifecycle(
        start_from={MachineStatus.READY},
        pending={MachineStatus.DEPLOYING},
        success={MachineStatus.DEPLOYED},
        failure={MachineStatus.FAILED_DEPLOYMENT},
    )

    async def fill_in(self, ctx: ToolContext, args: Which) -> Which:
        if args.image is not None:
            return args
        answer = await ctx.ask("Which image?", Image, key="image")
        return args.model_copy(update={"image": answer.image})

    async def start(self, ctx: OperationContext, args: Which) -> None:
        await ctx.maas.post_op(f"machines/{args.system_id}/", "deploy", distro_series=args.image)

    async def result(self, ctx: OperationContext) -> Done:
        return Done(text=ctx.machine.distro_series)


class ChangeEarly(Deploy):
    """Change something while the arguments are filled in."""

    name = "own_change_early"

    async def fill_in(self, ctx: ToolContext, args: Which) -> Which:
        await ctx.maas.post_op(f"machines/{args.system_id}/", "lock")
        return args


class EraseLate(Deploy):
    """Decide to erase while the arguments are filled in."""

    name = "own_erase_late"

    def effects(self, args: Which) -> Effects:
        return Effects((args.system_id,), destroys=True, erases=args.image == "erase")

    async def fill_in(self, ctx: ToolContext, args: Which) -> Which:  # noqa: ARG002 - asks nothing
        return args.model_copy(update={"image": "erase"})


class ReleaseWithin(Tool[Which, Done]):
    """Erase a machine by another tool: started, or run to its end."""

    name = "own_release_within"

    async def run(self, ctx: ToolContext, args: Which) -> Done:
        call = ctx.operations.start if args.image == "start" else ctx.operations.run
        await call("maas_release_machine", system_id=args.system_id, quick_erase=True)
        return Done(text="erased")


def posts(region: MaasRegion) -> list[str | None]:
    return [each.op for each in region.requests if each.method == "POST"]


def test_a_tool_gets_the_answer(maas_region: MaasRegion) -> None:
    maas_region.deploy("node01", "admin")
    maas_region.advance(3600)

    done = maas_region.call(AskFirst, "node01", answers={"image": Image(image="noble")})

    assert done.text == "noble"
    assert posts(maas_region) == ["lock"]


def test_a_declined_question_sends_nothing(maas_region: MaasRegion) -> None:
    with pytest.raises(NotAnsweredError, match="declined"):
        maas_region.call(AskFirst, "node01", answers={})

    assert posts(maas_region) == []


def test_a_client_that_cannot_be_asked_gets_an_error_with_the_missing_capability(maas_region: MaasRegion) -> None:
    with pytest.raises(CannotAskError) as refused:
        maas_region.call(AskFirst, "node01")

    assert refused.value.hint == "Use a client with the capability elicitation."
    assert posts(maas_region) == []


def test_a_tool_can_do_without_an_answer(maas_region: MaasRegion) -> None:
    assert maas_region.call(AskIfPossible, "node01").text == maas_region.machine("node01").system_id
    assert maas_region.call(AskIfPossible, "node01", answers={"answer": Image(image="noble")}).text == "noble"


def test_a_question_after_a_change_is_a_bug_in_the_plugin(maas_region: MaasRegion) -> None:
    with pytest.raises(PluginError, match="asked the client after its first change"):
        maas_region.call(AskLate, "node01", answers={"answer": Image(image="noble")})

    assert maas_region.asked == {}


def test_an_operation_starts_with_the_users_answer(maas_region: MaasRegion) -> None:
    done = maas_region.call(Deploy, "node01", answers={"image": Image(image="jammy")})

    assert done.text == "jammy"


def test_an_operation_with_all_arguments_asks_nothing(maas_region: MaasRegion) -> None:
    assert maas_region.call(Deploy, "node01", image="jammy").text == "jammy"


def test_an_operation_cannot_change_anything_while_it_asks(maas_region: MaasRegion) -> None:
    with pytest.raises(PluginError, match="fill_in changes something in MAAS"):
        maas_region.call(ChangeEarly, "node01", answers={})

    assert posts(maas_region) == []


@pytest.mark.parametrize("how", ["start", "run"])
def test_an_erase_by_another_tool_is_confirmed_as_well(maas_region: MaasRegion, how: str) -> None:
    maas_region.deploy("node02", "bob")
    maas_region.advance(3600)

    with pytest.raises(NotAnsweredError):
        maas_region.call(ReleaseWithin, "node02", answers={}, image=how)

    assert "node02" in question_of(maas_region)
    assert posts(maas_region) == []


def test_an_erase_that_is_filled_in_is_confirmed_as_well(maas_region: MaasRegion) -> None:
    with pytest.raises(NotAnsweredError):
        maas_region.call(EraseLate, "node01", answers={}, image="jammy")

    assert "node01" in question_of(maas_region)
    assert posts(maas_region) == []


@pytest.mark.parametrize(
    "options",
    [
        {"erase": True},
        {"quick_erase": True, "erase": False},
        {"secure_erase": True},
        {"erase": True, "quick_erase": None, "scripts": []},
        {"scripts": ["wipe-disks"]},
        {"scripts": ["a-tag-of-wipe-disks"]},
    ],
    ids=str,
)
def test_each_way_to_erase_is_confirmed_by_a_question_about_the_disks(
    maas_region: MaasRegion, options: dict[str, Any]
) -> None:
    from maas_deploy.release import Release  # noqa: PLC0415 - a plugin, which may be missing

    maas_region.deploy("node02", "bob")
    maas_region.advance(3600)

    with pytest.raises(NotAnsweredError):
        maas_region.call(Release, "node02", answers={}, **options)

    text = question_of(maas_region)
    assert "node02" in text
    assert "owned by bob" in text
    for disk in maas_region.machine("node02").disks:
        assert disk.name in text
    assert posts(maas_region) == []


def test_the_question_is_asked_even_if_the_disks_cannot_be_read(maas_region: MaasRegion) -> None:
    from maas_deploy.release import Release  # noqa: PLC0415 - as above

    maas_region.deploy("node02", "admin")
    maas_region.advance(3600)
    maas_region.faults.append(
        Fault(path=f"nodes/{maas_region.machine('node02').system_id}/blockdevices/", status=403, body="no", times=None)
    )

    with pytest.raises(NotAnsweredError):
        maas_region.call(Release, "node02", answers={}, erase=True)

    assert "disks of 480 GB in total" in question_of(maas_region)


def test_a_yes_about_the_disks_releases_the_machine(maas_region: MaasRegion) -> None:
    from maas_deploy.release import Release  # noqa: PLC0415 - as above

    maas_region.deploy("node02", "admin")
    maas_region.advance(3600)
    with pytest.raises(NotAnsweredError):
        maas_region.call(Release, "node02", answers={}, quick_erase=True)
    (key,) = maas_region.asked

    maas_region.call(Release, "node02", answers={key: ErasingConsent(typed="node02")}, quick_erase=True)

    assert posts(maas_region) == ["release"]

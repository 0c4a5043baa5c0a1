"""The progress display of running operations."""

import io

import pytest
from rich.console import Console

from maas_mcp.cli.bars import Bar, Bars, is_live

pytestmark = pytest.mark.anyio


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def plain() -> tuple[Bars, io.StringIO]:
    file = io.StringIO()
    return Bars(Console(file=file, width=80)), file


async def deploy(bar: Bar) -> None:
    await bar.on_progress(0.02, 1.0, "Deploying")
    await bar.on_progress(0.4, 1.0, "Installing OS")
    await bar.on_progress(1.0, 1.0, "Deployed")


async def test_without_a_terminal_each_change_is_one_line() -> None:
    bars, file = plain()
    with bars:
        await deploy(bars.add("node01"))
    assert file.getvalue() == "node01    2%  Deploying\nnode01   40%  Installing OS\nnode01  100%  Deployed\n"


async def test_heartbeats_print_no_line() -> None:
    bars, file = plain()
    with bars:
        bar = bars.add("node01")
        await bar.on_progress(0.4, 1.0, "Installing OS")
        await bar.on_progress(0.4001, 1.0, "Installing OS (10 s so far)")
        await bar.on_progress(0.4002, 1.0, "Installing OS (1 min 20 s so far)")
        await bar.on_progress(0.4003, 1.0, "MAAS unreachable for 20 s; last seen: Installing OS")
        await bar.on_progress(0.4004, 1.0, "MAAS unreachable for 1 min 05 s; last seen: Installing OS")
    assert [line.split("%  ")[1] for line in file.getvalue().splitlines()] == [
        "Installing OS",
        "MAAS unreachable for 20 s; last seen: Installing OS",
    ]
    assert bar.messages == 5


async def test_an_operation_without_milestones_shows_no_percentage() -> None:
    bars, file = plain()
    with bars:
        await bars.add("node01").on_progress(3.2, None, "Entering rescue mode")
    assert file.getvalue() == "node01  Entering rescue mode\n"


async def test_a_message_that_arrives_after_the_end_changes_nothing() -> None:
    bars, file = plain()
    with bars:
        bar = bars.add("node01")
        await deploy(bar)
        bar.succeed()
        await bar.on_progress(0.4, 1.0, "Installing OS")
    assert file.getvalue().endswith("Deployed\n")
    assert bar.fraction == 1.0


async def test_a_success_is_shown_even_if_its_last_message_arrives_too_late() -> None:
    bars, file = plain()
    with bars:
        bar = bars.add("node01")
        await bar.on_progress(0.8, 1.0, "Deployed")
        bar.succeed()
        await bar.on_progress(1.0, 1.0, "Deployed")
    assert file.getvalue() == "node01   80%  Deployed\nnode01  100%  Deployed\n"


async def test_messages_of_maas_are_not_interpreted_as_markup() -> None:
    bars, file = plain()
    with bars:
        await bars.add("node01").on_progress(0.5, 1.0, "[red]Installing[/red] OS")
    assert "[red]Installing[/red] OS" in file.getvalue()


async def test_on_a_terminal_a_quick_call_draws_nothing() -> None:
    file = Terminal()
    with Bars(Console(file=file, width=80, force_terminal=True)) as bars:
        bars.add("maas_list_machines").succeed()
    assert file.getvalue() == ""


async def test_on_a_terminal_the_bar_ends_full_with_the_last_message() -> None:
    file = Terminal()
    with Bars(Console(file=file, width=80, force_terminal=True, color_system=None)) as bars:
        bar = bars.add("node01")
        await deploy(bar)
        bar.succeed()
    last = file.getvalue().rpartition("node01")[2]
    assert "100%" in last
    assert "Deployed" in last


async def test_a_long_message_is_truncated_at_the_end_of_the_line() -> None:
    console = Console(file=io.StringIO(), width=60, record=True)
    with Bars(console) as bars:
        bar = bars.add("node01")
        await bar.on_progress(0.4, 1.0, "Installing OS " * 10)
        bar.fail("Failed " * 20)
        console.print(bars)
    drawn = console.export_text().splitlines()[-1]
    assert len(drawn) <= 60
    assert drawn.endswith("…")


@pytest.mark.parametrize("width", [60, 80, 120])
async def test_a_long_message_leaves_room_for_the_bar(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, record=True)
    with Bars(console) as bars:
        await bars.add("maas_deploy_machine").on_progress(0.5, 1.0, "Loading the ephemeral environment " * 5)
        console.print(bars)
    drawn = console.export_text().splitlines()[-1]
    assert len(drawn) == width - len("^C^C")  # on a full line, echoed characters would wrap
    assert drawn.startswith("maas_deploy_machine ━━━━━")
    assert "  50% 0:00:0" in drawn
    assert drawn.endswith("…")


def test_a_pipe_with_colours_is_not_a_terminal() -> None:
    assert not is_live(Console(file=io.StringIO(), force_terminal=True))
    assert is_live(Console(file=Terminal(), force_terminal=True))

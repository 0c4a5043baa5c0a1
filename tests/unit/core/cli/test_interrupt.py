"""Ctrl-C stops async code cleanly."""

import os
import signal

import anyio
import anyio.lowlevel
import pytest

from maas_mcp.cli.common import Interrupted
from maas_mcp.cli.interrupt import run


async def interrupted_by(number: int) -> None:
    os.kill(os.getpid(), number)
    await anyio.sleep_forever()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_code_and_lets_it_clean_up(number: signal.Signals) -> None:
    cleaned_up = []

    async def main() -> None:
        try:
            await interrupted_by(number)
        finally:
            cleaned_up.append(number)

    with pytest.raises(Interrupted) as caught:
        run(main)
    assert caught.value.exit_code == 128 + number
    assert cleaned_up == [number]


def test_without_a_signal_the_result_is_returned() -> None:
    async def main() -> int:
        await anyio.lowlevel.checkpoint()
        return 7

    assert run(main) == 7


def test_an_error_is_raised_unchanged() -> None:
    async def main() -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError("it is not there")

    with pytest.raises(LookupError, match="it is not there"):
        run(main)


def test_an_error_during_clean_up_after_a_signal_is_an_interruption() -> None:
    async def main() -> None:
        try:
            await interrupted_by(signal.SIGINT)
        finally:
            raise RuntimeError("the server is gone")

    with pytest.raises(Interrupted):
        run(main)


def test_a_second_signal_stops_the_clean_up_without_a_traceback() -> None:
    cleaned_up = []

    async def main() -> None:
        async with anyio.create_task_group():
            try:
                await interrupted_by(signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                cleaned_up.append("too late")

    with pytest.raises(Interrupted):
        run(main)
    assert cleaned_up == []

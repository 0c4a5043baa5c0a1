"""Measures the cost of parsing a client's line: maas-mcp and the SDK's own reader, alternately.

    python benchmarks/line_parsing.py [ROUNDS]

Prints the median CPU time for each line in microseconds, and the ratio. ``text`` is a call with a long string, such as
user data; ``items`` is a call with many small objects. maas-mcp also validates each line, and rejects invalid messages.
"""

import json
import statistics
import sys
import time
from collections.abc import AsyncIterator

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage

from maas_mcp.server.incoming import Messages

SIZES = {"1 kB": (1_000, 500), "100 kB": (100_000, 20)}
"""The bytes of a line, and the number of lines in a round."""


def call(**arguments: object) -> str:
    """Return the line of a call."""
    params = {"name": "maas_deploy_machine", "_meta": {"progressToken": 7}, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}) + "\n"


def text(size: int) -> str:
    """Return a call of about ``size`` bytes, with one long string."""
    return call(system_id="4y3h7n", user_data="I2Nsb3VkLWNvbmZpZwo" * (size // 19))


def items(size: int) -> str:
    """Return a call of about ``size`` bytes, with many objects."""
    return call(machines=[{"system_id": "4y3h7n", "tags": ["rack", str(number)]} for number in range(size // 54)])


async def repeated(line: str, times: int) -> AsyncIterator[str]:
    """Yield the lines of a round."""
    for _ in range(times):
        yield line


async def ours(lines: AsyncIterator[str]) -> None:
    """Parse the lines as maas-mcp does."""

    async def answer(refusal: str) -> None:
        raise AssertionError(refusal)

    async for _ in Messages(lines, answer):
        pass


async def sdk(lines: AsyncIterator[str]) -> None:
    """Parse the lines as ``mcp.server.stdio`` does, without its memory streams."""
    async for line in lines:
        SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))


async def main(rounds: int) -> None:
    """Measure both alternately, so that the load of the machine affects both."""
    print(f"{'µs per line':16}{'maas-mcp':>10}{'SDK':>10}{'ratio':>8}")
    for label, (size, times) in SIZES.items():
        for make in (text, items):
            line, took = make(size), {ours: list[float](), sdk: list[float]()}
            for _ in range(rounds):
                for read, seconds in took.items():
                    began = time.thread_time()
                    await read(repeated(line, times))
                    seconds.append((time.thread_time() - began) / times)
            mine, theirs = (statistics.median(seconds) * 1e6 for seconds in took.values())
            print(f"{label + ', ' + make.__name__:16}{mine:10.1f}{theirs:10.1f}{mine / theirs:8.2f}")


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 15)

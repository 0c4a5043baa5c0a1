"""Invalid values in MAAS's responses, which the simulator never sends but a real region may."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import strategies as st

from maas_mcp.maas.exchange import HttpTransport
from maas_mcp.maas.reading import JSON

Spoil = Callable[[str, JSON], JSON]
"""Takes a path and MAAS's response, and returns another response."""

json_values: st.SearchStrategy[JSON] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "120.0", "2048", "yes", "2026-11-28", "Sun, 22 Nov. 2026 08:32:46"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just("name"), inner, max_size=3)
    ),
    max_leaves=5,
)
"""Any JSON value, and values that only Python accepts in JSON."""


@contextmanager
def spoilt(spoil: Spoil) -> Iterator[None]:
    """Pass all of MAAS's responses through ``spoil``, in every client."""
    answer = HttpTransport.request

    async def request(
        self: HttpTransport, method: str, path: str, decode: Callable[[bytes], JSON] | None = None, **rest: Any
    ) -> JSON:
        spoilt_answer = spoil(path, await answer(self, method, path, **rest))
        return spoilt_answer if decode is None else decode(json.dumps(spoilt_answer).encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HttpTransport, "request", request)
        yield


@contextmanager
def answering(answer: Callable[[str], JSON]) -> Iterator[None]:
    """Answer reads by path, in place of MAAS. ``NotImplemented`` leaves the request to MAAS."""
    ask = HttpTransport.request

    async def request(self: HttpTransport, method: str, path: str, **rest: Any) -> JSON:
        own = answer(path)
        return await ask(self, method, path, **rest) if own is NotImplemented else own

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HttpTransport, "request", request)
        yield


def with_odd_machine(machine_id: str, /, **fields: JSON) -> Spoil:
    """Set fields of one machine, in lists and in single reads."""

    def spoil(path: str, answer: JSON) -> JSON:
        machines = answer if isinstance(answer, list) else [answer]
        if path.startswith("machines/"):
            for machine in machines:
                if isinstance(machine, dict) and machine.get("system_id") == machine_id:
                    machine.update(fields)
        return answer

    return spoil

"""The reference page about the contract: ``python -m simulator.tests.contract.page`` writes it again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from maas_simulator.http.endpoints import ENDPOINTS
from maas_simulator.http.unsimulated import NotSimulated
from simulator.tests.contract.recording import FIRST, SECOND
from simulator.tests.contract.replay import known, outcomes
from simulator.tests.contract.sequence import topic_outcomes
from simulator.tests.contract.table import markdown, row

PAGE: Final = Path(__file__).parents[3] / "docs" / "reference" / "simulator-contract.md"

_HEAD: Final = """\
# The simulator's contract

Tests repeat the requests of two recorded regions of MAAS 3.7.3 and compare the responses.
{{doc}}`../explanation/simulator` says how. A test keeps this page up to date.

## The first recording

{first}

## The second recording

An explained or unexplained difference has the place of its exchange in the recording.

{second}

## Parts of the API that are not simulated

The simulator has {simulated} of the {all} methods and operations of MAAS 3.7's API, which has {paths} paths. It answers
these with a 501:

{rest}
"""


def render() -> str:
    """Render the page."""
    first = [row(topic, outcomes(topic), known()) for topic in FIRST.topics]
    second = [row(topic, topic_outcomes(topic), known("second")) for topic in SECOND.topics]
    every = [isinstance(handler, NotSimulated) for endpoint in ENDPOINTS for handler in endpoint.handlers.values()]
    return _HEAD.format(
        first=markdown(first, known()),
        second=markdown(second, known("second")),
        simulated=every.count(False),
        all=len(every),
        paths=len(ENDPOINTS),
        rest="\n".join(_not_simulated()),
    )


def _not_simulated() -> Iterator[str]:
    yield "| Path | Methods and operations |"
    yield "| --- | --- |"
    for endpoint in sorted(ENDPOINTS, key=lambda each: each.path):
        missing = [key for key, handler in endpoint.handlers.items() if isinstance(handler, NotSimulated)]
        if missing:
            names = ", ".join(f"`{method}`" if op is None else f"`{method} op={op}`" for method, op in missing)
            yield f"| `{endpoint.path}` | {names} |"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")

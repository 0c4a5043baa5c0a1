"""Prints the differences between the simulator and the recorded MAAS: ``python -m simulator.tests.contract.report``.

Run it in the root of the repository.
"""

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from simulator.tests.contract.recording import FIRST, SECOND
from simulator.tests.contract.replay import Known, Outcome, known, outcomes
from simulator.tests.contract.sequence import topic_outcomes
from simulator.tests.contract.table import is_not_simulated, lines, row

SHOWN: Final = 3
"""How many differences of an exchange are shown."""
WIDTH: Final = 200

_INDEX = re.compile(r"\[\d+\]")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or the differences of the chosen topics."""
    given = _parser().parse_args(arguments)
    recording, played = (FIRST, outcomes) if given.recording == 1 else (SECOND, topic_outcomes)
    reasons = known("first" if given.recording == 1 else "second")
    topics = [name for name in recording.topics if not given.topic or name.startswith(tuple(given.topic))]
    every = {topic: played(topic) for topic in topics}
    chosen = [each for topic in topics for each in every[topic] if given.all or _is_open(each, reasons)]
    if given.by_difference:
        _print(_by_difference(chosen, given))
    elif given.topic:
        _print(line for each in chosen for line in _described(each, given))
    _print(lines([row(topic, every[topic], reasons) for topic in topics]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic", nargs="*", help="the start of a topic's name, such as 07; by default only the table")
    parser.add_argument("--recording", type=int, choices=(1, 2), default=2, help="by default the second")
    parser.add_argument("--whole", action="store_true", help=f"all differences of an exchange, not the first {SHOWN}")
    parser.add_argument("--all", action="store_true", help="also explained differences, and what is not simulated")
    parser.add_argument("--by-difference", action="store_true", help="each difference once, with its exchanges")
    parser.add_argument(
        "--without", default="", metavar="PATTERN", help="hide differences that match, such as disk|nic"
    )
    return parser


def _is_open(outcome: Outcome, reasons: Known) -> bool:
    return not outcome.same and outcome.name not in reasons.explained and not is_not_simulated(outcome, reasons)


def _described(outcome: Outcome, given: argparse.Namespace) -> Iterator[str]:
    found = _kinds(outcome, given.without)
    if not found:
        return
    exchange = outcome.exchange
    body = f" {exchange.body}" if exchange.body else ""
    who = f" as {exchange.user}" if exchange.user != "admin" else ""
    yield _line(f"{exchange.name}  [{exchange.method} {exchange.url.removeprefix('/MAAS/api/2.0/')}{body}{who}]")
    shown = found if given.whole else found[:SHOWN]
    yield from (_line(f"    {each}") for each in shown)
    if len(found) > len(shown):
        yield f"    … and {len(found) - len(shown)} more"


def _kinds(outcome: Outcome, without: str) -> list[str]:
    """The differences without places in lists, each once, those of the whole response first."""
    found = dict.fromkeys(_INDEX.sub("[]", each) for each in outcome.differences)
    kept = [each for each in found if not (without and re.search(without, each))]
    return sorted(kept, key=lambda each: re.split(" is | has | lacks ", each)[0].count("."))


def _by_difference(outcomes: Sequence[Outcome], given: argparse.Namespace) -> Iterator[str]:
    """List each kind of difference, the most frequent first, with some of its exchanges."""
    places = defaultdict(list)
    for outcome in outcomes:
        for each in _kinds(outcome, given.without):
            places[each].append(str(outcome.exchange.n or outcome.name))
    for difference, names in sorted(places.items(), key=lambda item: -len(item[1])):
        yield _line(f"{len(names):4}  {difference}")
        yield f"      in {', '.join(names if given.whole else names[: 3 * SHOWN])}"


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)[:WIDTH]


def _print(text: Iterable[str]) -> None:
    for line in text:
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()

"""Reads the scripts of a machine's latest runs, with their output, and makes rows of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from maas_inventory.machine_names import resolve_machine
from maas_inventory.objects.selecting import matcher
from maas_inventory.paging import digest, open_cursor
from maas_inventory.script_results import MAX_TAIL, ResultFilter, ResultPage, RunKind, RunRow, ScriptRow
from maas_inventory.times import show
from maas_inventory.values import shorten
from maas_mcp.api import (
    MaasBadRequestError,
    ScriptResult,
    ScriptSet,
    ScriptSetName,
    ScriptStatus,
    SystemId,
    ToolContext,
    fit_page,
    quoted,
)

KINDS: Final[tuple[RunKind, ...]] = ("commissioning", "testing", "installation", "release")
ALIASES: Final = {
    "commissioning": ScriptSetName.COMMISSIONING,
    "testing": ScriptSetName.TESTING,
    "installation": ScriptSetName.INSTALLATION,
}
"""The sets that MAAS 3.7 finds by an alias. It has none for the scripts of a release."""
WITH_OUTPUT: Final = 10
"""Scripts with output on one page."""


@dataclass(frozen=True, slots=True)
class Run:
    """A machine's latest run of one kind."""

    kind: RunKind
    scripts: ScriptSet


@dataclass(frozen=True, slots=True)
class Place:
    """A script of a run, with its place in the list."""

    run: Run
    script: ScriptResult
    number: tuple[int, int]


async def read_results(ctx: ToolContext, args: ResultFilter) -> ResultPage:
    """Return a page of the results of a machine's scripts."""
    machine = await resolve_machine(ctx, args.machine)
    query = digest({"results": args.model_dump(mode="json", exclude={"limit", "cursor"})})
    last = open_cursor(ctx, args.cursor, query)
    runs = await _read_runs(ctx, machine.system_id, [args.kind] if args.kind else KINDS)
    places = [each for each in _places(runs) if _matches(args, each.script)]
    rest = [each for each in places if last is None or each.number > tuple(last["after"])]
    limit = min(args.limit, WITH_OUTPUT) if args.wants_output else args.limit
    shown = rest[:limit]
    outputs = await _read_outputs(ctx, machine.system_id, shown) if args.wants_output else {}
    rows = fit_page([_row(each, _tail(args, outputs.get(each.script.id))) for each in shown], limit)
    more = len(rest) > len(rows)
    return ResultPage(
        system_id=machine.system_id,
        hostname=shorten(machine.hostname),
        status_name=machine.status_name,
        error_description=shorten(machine.error_description) or None,
        runs=[_run_row(run) for run in runs],
        scripts=rows,
        total=len(places),
        next_cursor=ctx.cursors.seal({"of": query, "after": list(rest[len(rows) - 1].number)}) if more else None,
        unreadable=list(_describe_unreadable(runs, shown[: len(rows)])),
    )


async def _read_runs(ctx: ToolContext, system_id: SystemId, kinds: Sequence[RunKind]) -> list[Run]:
    found: dict[RunKind, ScriptSet | None] = {}
    for kind in kinds:  # one by one, because MAAS reads each script's output for every request
        found[kind] = await _read_run(ctx, system_id, kind)
    return [Run(kind, scripts) for kind, scripts in found.items() if scripts is not None]


async def _read_run(ctx: ToolContext, system_id: SystemId, kind: RunKind) -> ScriptSet | None:
    if kind in ALIASES:
        return await ctx.maas.script_set(system_id, ALIASES[kind])
    try:
        answer = await ctx.maas.get(f"nodes/{system_id}/results/", type="release")
    except MaasBadRequestError:  # MAAS has scripts for releases since 3.5
        return None
    return max(ScriptSet.list_from_response(answer), key=lambda each: each.id, default=None)


def _places(runs: Sequence[Run]) -> list[Place]:
    return [
        Place(run, script, (KINDS.index(run.kind), script.id))
        for run in runs
        for script in sorted(run.scripts.results, key=lambda each: each.id)
    ]


def _matches(args: ResultFilter, script: ScriptResult) -> bool:
    return (script.failed or not args.failed) and (args.script is None or matcher(args.script)(script.name))


async def _read_outputs(ctx: ToolContext, system_id: SystemId, places: Sequence[Place]) -> dict[int, str]:
    """Read the output of some scripts, by the ids of their results."""
    names: dict[int, list[str]] = {}
    for each in places:
        names.setdefault(each.run.scripts.id, []).append(each.script.name)
    outputs: dict[int, str] = {}
    for number, scripts in names.items():
        path = f"nodes/{system_id}/results/{number}/"
        answer = await ctx.maas.get(path, include_output=True, filters=",".join(dict.fromkeys(scripts)))
        read = ScriptSet.from_response(answer)
        outputs |= {script.id: script.output for script in read.results}
    return outputs


def _tail(args: ResultFilter, output: str | None) -> str | None:
    """Return the end of an output: its last bytes, and of those the last lines."""
    if not output:
        return None
    end = output.encode()[-(args.tail_bytes or MAX_TAIL) :].decode("utf-8", "ignore")
    lines = end.splitlines()[-args.tail_lines :] if args.tail_lines else end.splitlines()
    return "\n".join(lines) or None


def _row(place: Place, output: str | None) -> ScriptRow:
    script = place.script
    return ScriptRow(
        kind=place.run.kind,
        script=shorten(script.name),
        device=shorten(script.target),
        status=script.status_name,
        exit_status=script.exit_status,
        started=show(script.starttime),
        runtime=script.runtime or None,
        output=output,
    )


def _run_row(run: Run) -> RunRow:
    scripts = run.scripts.results
    passed = sum(each.status == ScriptStatus.PASSED for each in scripts)
    failed = sum(each.failed for each in scripts)
    return RunRow(
        kind=run.kind,
        id=run.scripts.id,
        status=run.scripts.status_name,
        passed=passed,
        failed=failed,
        other=len(scripts) - passed - failed,
    )


def _describe_unreadable(runs: Iterable[Run], shown: Iterable[Place]) -> Iterable[str]:
    for run in runs:
        if run.scripts.unreadable:
            yield f"{run.kind} {run.scripts.id}: {_names(run.scripts.unreadable)} cannot be read completely."
    for place in shown:
        if place.script.unreadable:
            yield f"{place.run.kind} {quoted(place.script.label)}: {_names(place.script.unreadable)} cannot be read."


def _names(fields: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in fields)

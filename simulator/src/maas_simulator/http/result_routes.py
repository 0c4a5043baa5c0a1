"""Handlers for script results: a machine's script sets, one set, and script output."""

import io
import tarfile
from collections.abc import Mapping, Sequence

from maas_simulator.http.calls import Answer, Call
from maas_simulator.model.forms import last
from maas_simulator.model.refusals import Refusal, not_found, not_simulated
from maas_simulator.model.scripts import ScriptSet, SetType


def results(call: Call) -> Answer:
    """All script sets of a machine, optionally of one ``type``."""
    machine = call.machine("Node")
    asked: Sequence[str] = [name for value in call.query.get("type", ()) for name in value.split(",") if name]
    by_name = {kind.name.lower(): kind for kind in SetType} | {str(int(kind)): kind for kind in SetType}
    if any(name not in by_name for name in asked):
        raise Refusal(400, "Invalid result type name")
    kinds = {by_name[name] for name in asked} or set(SetType)
    return Answer([_shown(call, scripts) for scripts in call.region.sets_of(machine) if scripts.type in kinds])


def result(call: Call) -> Answer:
    """One script set, by id or as the current one of its kind."""
    return Answer(_shown(call, _run(call)))


def download(call: Call) -> Answer:
    """The output of a set's scripts, concatenated, or as files in an archive with ``filetype=tar.xz``."""
    scripts, wanted = _run(call), _filters(call)
    printed = {each.name: each.output.encode() for each in scripts.results if not wanted or each.name in wanted}
    match last(call.query, "filetype") or "txt":
        case "txt":
            return Answer(text=b"".join(printed.values()), content_type="application/binary")
        case "tar.xz":
            return Answer(text=_archive(scripts.id, printed), content_type="application/x-tar")
    raise not_simulated("this filetype")


def _run(call: Call) -> ScriptSet:
    machine, name = call.machine("Node"), call.parts[1]
    current, _, kind = name.partition("-")
    if current == "current" and kind in ("commissioning", "testing", "installation"):
        scripts = call.region.current_set(machine, SetType[kind.upper()])
        if scripts is None:
            raise Refusal(400, f"No current {kind} script set exists for this node.")
        return scripts
    for scripts in machine.sets:
        if name == str(scripts.id):
            return scripts
    raise not_found("ScriptSet")


def _filters(call: Call) -> set[str]:
    return {name for value in call.query.get("filters", ()) for name in value.split(",") if name}


def _archive(number: int, printed: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for name, content in printed.items():
            entry = tarfile.TarInfo(f"{number}/{name.rpartition('/')[2]}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _shown(call: Call, scripts: ScriptSet) -> dict[str, object]:
    """Show a script set. MAAS 3.7: any value of ``include_output`` includes the output, even ``0``."""
    include_output = "include_output" in call.query
    shown = scripts.as_json(include_output=include_output)
    if names := _filters(call):
        shown["results"] = [r.as_json(include_output=include_output) for r in scripts.results if r.name in names]
    return shown

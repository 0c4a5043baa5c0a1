"""Handlers for script results: a machine's script sets, one set, script output, and the older list of all results."""

import base64
import io
import tarfile
from collections.abc import Iterator, Mapping
from typing import Final

from maas_simulator.http.calls import Answer, Call, route
from maas_simulator.http.resources import DELETED, check_admin
from maas_simulator.http.script_resources import TYPE_NAMES, hardware_type, is_chosen, named_number
from maas_simulator.model.built_in_scripts import BUILT_IN
from maas_simulator.model.fields import boolean
from maas_simulator.model.forms import each, last
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record
from maas_simulator.model.refusals import Refusal, not_found
from maas_simulator.model.scripts import (
    INSTALL_LOG,
    JSON,
    UNFINISHED,
    ScriptResult,
    ScriptSet,
    SetType,
    duration,
    http_date,
    iso_date,
)
from maas_simulator.model.statuses import ScriptStatus

_CURRENT: Final = {f"current-{kind}": SetType[kind.upper()] for kind in ("commissioning", "testing", "installation")}
_TYPES: Final = {**TYPE_NAMES, "installation": SetType.INSTALLATION, "install": SetType.INSTALLATION}


def results(call: Call) -> Answer:
    """All script sets of a machine, optionally of one ``type`` or several."""
    machine = call.machine("Node")
    kinds = set(map(_type, call.query.get("type", ()))) or set(SetType)
    return Answer([_shown(call, scripts) for scripts in reversed(machine.sets) if scripts.type in kinds])


_type: Final = named_number(_TYPES, "Invalid result type name", "Invalid result type numeric value.")


def result(call: Call) -> Answer:
    """One script set, by id or as the current one of its kind."""
    return Answer(_shown(call, _run(call)))


def suppress(call: Call) -> Answer:
    """Let MAAS ignore the results of a set in the machine's status, or heed them again, for superusers."""
    check_admin(call)
    scripts = _run(call)
    if "suppressed" in call.form:
        scripts.results = list(scripts.results)
        for each_result in scripts.results:
            each_result.suppressed = boolean(call.region.tables, last(call.form, "suppressed") or "false")
    return Answer(_shown(call, scripts))


def delete(call: Call) -> Answer:
    """Delete a script set that is not the current one, for superusers."""
    check_admin(call)
    scripts, machine = _run(call), call.machine("Node")
    if scripts.id in machine.current.values():
        kind = scripts.type.name.lower()
        raise Refusal(400, f"Unable to delete the current {kind} script set for node: {machine.hostname}.maas")
    machine.sets.remove(scripts)
    return DELETED


def download(call: Call) -> Answer:
    """The output of a set's scripts, concatenated, or as files in an archive with ``filetype=tar.xz``."""
    scripts = _run(call)
    filetype, output = last(call.query, "filetype") or "txt", last(call.query, "output") or "combined"
    if output not in ("combined", "stdout", "stderr", "result", "all"):
        raise Refusal(400, f'Unknown output "{output}" must be combined, stdout, stderr, result, or all')
    shows_text = output in ("combined", "stdout", "all")
    printed = {each.name: each.output.encode() for each in _chosen(call, scripts) if shows_text}
    match filetype:
        case "txt":
            return Answer(text=b"".join(printed.values()), content_type="application/binary")
        case "tar.xz":
            return Answer(text=_archive(scripts.id, printed), content_type="application/x-tar")
    raise Refusal(400, f'Unknown filetype "{filetype}" must be txt or tar.xz')


def _run(call: Call) -> ScriptSet:
    machine, name = call.machine("Node"), call.parts[1]
    if name in _CURRENT:
        current = call.region.current_set(machine, _CURRENT[name])
        if current is None:
            raise Refusal(400, f"No {name.replace('-', ' ')} script set exists for this node.")
        return current
    if not name.isdecimal():
        expected = ", ".join(_CURRENT)
        raise Refusal(400, f'Unknown id "{name}" must be {expected}, or the id number of a specific result.')
    found = next((scripts for scripts in machine.sets if name == str(scripts.id)), None)
    if found is None:
        raise not_found("ScriptSet")
    return found


def _chosen(call: Call, scripts: ScriptSet) -> Iterator[ScriptResult]:
    """The results of scripts with a name, id or tag, or for a type of hardware."""
    names, wanted = each(call.query, "filters"), last(call.query, "hardware_type")
    hardware = hardware_type(wanted) if wanted else None
    for one in scripts.results:
        script = _script(call, one)
        if hardware is not None and (script is None or script["hardware_type"] != hardware):
            continue
        if not names or one.name in names or (script is not None and is_chosen(script, names)):
            yield one


def _script(call: Call, one: ScriptResult) -> Record | None:
    table = call.region.tables["Script"]
    return table.get((one.script or BUILT_IN.get(one.name) or {"id": 0})["id"])


def _archive(number: int, printed: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for name, content in printed.items():
            entry = tarfile.TarInfo(f"{number}/{name.rpartition('/')[2]}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _shown(call: Call, scripts: ScriptSet) -> JSON:
    """Show a script set. MAAS 3.7: any value of ``include_output`` includes the output, even ``0``."""
    every = scripts.results
    started = min((one.started for one in every if one.started is not None), default=None)
    ends = [one.ended for one in every if one.ended is not None]
    ended = max(ends) if ends and len(ends) == len(every) else None
    pings = scripts.type in (SetType.COMMISSIONING, SetType.TESTING)
    status = scripts.status
    return {
        "id": scripts.id,
        "system_id": scripts.system_id,
        "type": int(scripts.type),
        "type_name": scripts.type.name.capitalize(),
        "status": int(status),
        # MAAS 3.7 looks up the status -1 of an empty set in a list, and so shows the last one.
        "status_name": NO_STATUS if status is ScriptStatus.UNKNOWN else status.display,
        "started": http_date(started),
        "ended": http_date(ended),
        "runtime": "" if started is None or ended is None else duration(ended - started),
        "last_ping": http_date(ended or started) if pings else None,
        "results": [_result_json(call, one) for one in _chosen(call, scripts)],
        "resource_uri": f"{API}/nodes/{scripts.system_id}/results/{scripts.id}/",
    }


NO_STATUS: Final = "Failed to apply custom network configuration"


def _result_json(call: Call, one: ScriptResult) -> JSON:
    runtime = None if one.started is None or one.ended is None else one.ended - one.started
    script = _script(call, one)
    shown: JSON = {
        **{name: getattr(one, name) for name in ("id", "name", "exit_status", "parameters", "suppressed")},
        "created": http_date(one.created),
        "updated": http_date(one.ended or one.started or one.created),
        "status": int(one.status),
        "status_name": one.status.display,
        "started": http_date(one.started),
        "ended": http_date(one.ended),
        "runtime": duration(runtime),
        "starttime": "" if one.started is None else one.started,
        "endtime": "" if one.ended is None else one.ended,
        "estimated_runtime": duration(runtime if runtime is not None else one.estimate) or "Unknown",
        "script_id": script and script["id"],
        "script_revision_id": script and script["history"][0]["id"] if one.exit_status is not None else None,
    }
    if "include_output" in call.query:
        text = base64.b64encode(one.output.encode()).decode()
        shown |= {"output": text, "stdout": text if one.name != INSTALL_LOG else "", "stderr": "", "result": ""}
    return shown


def all_results(call: Call) -> Answer:
    """The results of the latest runs of all machines in the older format."""

    def is_asked(name: str, value: str) -> bool:
        return value in call.query.get(name, (value,))

    return Answer(
        [
            _old_json(scripts, one, name, text)
            for machine in call.region.machines.values()
            if call.sees(machine) and is_asked("system_id", machine.system_id)
            for scripts in {scripts.type: scripts for scripts in machine.sets}.values()
            if is_asked("result_type", str(int(scripts.type)))
            for one in scripts.results
            for name, text in _texts(one)
            if one.status not in UNFINISHED and is_asked("name", name)
        ]
    )


def _texts(one: ScriptResult) -> Iterator[tuple[str, str]]:
    """The output of a script, and what a failed one printed as errors, each with its name."""
    yield one.name, one.output
    if one.exit_status and one.name != INSTALL_LOG:
        yield f"{one.name}.err", one.output


def _old_json(scripts: ScriptSet, one: ScriptResult, name: str, text: str) -> JSON:
    return {
        "id": one.id,
        "created": iso_date(one.created),
        "updated": iso_date(one.ended or one.started or one.created),
        "name": name,
        "script_result": one.exit_status,
        "result_type": int(scripts.type),
        "node": {"system_id": scripts.system_id},
        "data": base64.b64encode(text.encode()).decode(),
        "resource_uri": f"{API}/commissioning-scripts/",
    }


ENDPOINTS: Final = (
    route("NodeScriptResults", "nodes/{system_id}/results/", GET=results),
    route(
        "NodeScriptResult",
        "nodes/{system_id}/results/{id}/",
        GET=result,
        GET_download=download,
        PUT=suppress,
        DELETE=delete,
    ),
    route("CommissioningResults", "commissioning-results/", GET=all_results),
    route("InstallationResults", "installation-results/", GET=all_results),
)

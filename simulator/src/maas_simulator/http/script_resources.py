"""Scripts for commissioning, testing and releasing, and the older API for commissioning scripts."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import yaml

from maas_simulator.http.calls import Answer, Call, keyed
from maas_simulator.http.resources import Resource, add_tag, check_admin, remove_tag
from maas_simulator.model import fields
from maas_simulator.model.built_in_scripts import NEW_SCRIPT, add_revision
from maas_simulator.model.fields import Cleaning, Field, Invalid, Reader, RecordForm, find
from maas_simulator.model.forms import Form, each, last, mandatory
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record, Tables
from maas_simulator.model.refusals import Refusal, invalid, not_found
from maas_simulator.model.scripts import JSON, SetType, duration, http_date
from maas_simulator.state import RegionState

HARDWARE: Final = ("Node", "CPU", "Memory", "Storage", "Network", "GPU")
PARALLEL: Final = ("Disabled", "Run along other instances of this script", "Run along any other script.")
TYPE_NAMES: Final = {
    **dict.fromkeys(("commissioning", "commission"), SetType.COMMISSIONING),
    **dict.fromkeys(("testing", "test"), SetType.TESTING),
    "release": SetType.RELEASE,
}
_HARDWARE: Final = {name.lower(): number for number, name in enumerate(HARDWARE)}
_PARALLEL: Final = {"disabled": 0, "instance": 1, "any": 2}
_UNIT_SECONDS: Final = (3600, 60, 1)
_METADATA: Final = re.compile(
    r"^# --- Start MAAS \d+\.\d+ script metadata ---\n(.*?)^# --- End MAAS", re.DOTALL | re.MULTILINE
)


def named_number(known: Mapping[str, int], wrong: str, wrong_number: str = "") -> Callable[[str], int]:
    """Return the reader of a filter that takes a name or its number; 400 for others."""

    def read(value: str) -> int:
        if value in known:
            return int(known[value])
        if value.isdecimal() and int(value) in known.values():
            return int(value)
        raise Refusal(400, wrong_number if wrong_number and value.isdecimal() else wrong)

    return read


script_type: Final = named_number(
    TYPE_NAMES, "Script type must be commissioning, testing or release", "Invalid script type numeric value."
)
hardware_type: Final = named_number(
    _HARDWARE,
    "Hardware type must be node, cpu, memory, storage, or gpu",
    "Invalid hardware type numeric value.",
)
_parallel: Final = named_number(_PARALLEL, "Script parallel must be disabled, instance, or any.")


def _reported(read: Callable[[str], int]) -> Reader:
    """Report the refusal of a filter as the message of a form's field."""

    def as_field(_tables: Tables, value: str) -> int:
        try:
            return read(value.strip().lower())
        except Refusal as refusal:
            raise Invalid(refusal.body) from None

    return as_field


def _timeout(_tables: Tables, value: str) -> int:
    """Read seconds, or ``HH:MM:SS``."""
    parts = value.strip().split(":")
    if not all(part.isdecimal() for part in parts) or len(parts) > len(_UNIT_SECONDS):
        raise Invalid("Enter a valid duration.")
    return sum(int(part) * unit for part, unit in zip(reversed(parts), reversed(_UNIT_SECONDS), strict=False))


def _dictionary(name: str, *, nested: bool = False) -> Reader:
    """Read a dictionary, or one of dictionaries, as JSON or YAML. The messages were not recorded."""

    def read(_tables: Tables, value: str) -> Record:
        try:
            found = yaml.safe_load(value)
        except yaml.YAMLError:
            raise Invalid("Invalid JSON or YAML.") from None
        if not isinstance(found, dict):
            raise Invalid(f"{name} must be a dictionary")
        if nested and not all(isinstance(each, dict) for each in found.values()):
            raise Invalid(f"{name} must be a dictionary of dictionaries")
        return found

    return read


def _check_script(cleaning: Cleaning) -> None:
    """Check the text and the name of the script, and tag it with its type of hardware."""
    values, data = cleaning.values, cleaning.values["script"]
    if not data and cleaning.old is None:
        cleaning.add_error("script", "Must be given a value")
    elif data and not data.startswith("#!/"):
        cleaning.add_error("script", "Must start with shebang.")
    if cleaning.old is not None and cleaning.old["default"]:
        for name in cleaning.given.keys() & values.keys() - {"tags", "timeout"}:
            cleaning.add_error(name, "Not allowed to change on default scripts.")
    name = values["name"] or ""
    if name.isdecimal():
        cleaning.add_error("name", "Cannot be a number.")
    if name == "none":
        cleaning.add_error("name", '"none" is a reserved name.')
    if not cleaning.errors:
        tags = [tag for tag in values["tags"] if tag not in (*_HARDWARE, "destructive")]
        destructive = ["destructive"] if values["destructive"] else []
        values["tags"] = [*tags, list(_HARDWARE)[values["hardware_type"]], *destructive]


def _with_metadata(given: Form) -> Form:
    """Add the fields in comments of the script, as YAML, which win over the others."""
    found = _METADATA.search(last(given, "script"))
    try:
        metadata = yaml.safe_load(re.sub(r"^# ?", "", found[1], flags=re.MULTILINE)) if found is not None else {}
    except yaml.YAMLError as error:
        raise invalid("script", f"Invalid YAML: {error}") from error
    written = {name: [_written(value)] for name, value in metadata.items()} if isinstance(metadata, dict) else {}
    return {("type" if name == "script_type" else name): values for name, values in {**given, **written}.items()}


def _written(value: Any) -> str:
    """The text of a form's field for a value in YAML."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return yaml.safe_dump(value) if isinstance(value, dict) else str(value)


def _keep_revision(call: Call, values: Record, old: Record | None) -> None:
    """Keep the text of the script as a revision."""
    data, comment = values.pop("script"), values.pop("comment")
    values |= {name: value for name, value in (old or NEW_SCRIPT).items() if name not in values}
    if data:
        add_revision(call.region.tables, values, data, comment or None, call.region.now())


def script_json(_region: RegionState, script: Record, *, include_script: bool = False) -> JSON:
    """A script with the list of its revisions, newest first."""
    hidden = ("history", "seconds", "script", "comment")
    return {
        **{name: value for name, value in script.items() if name not in hidden},
        **{name: script[name] or {} for name in ("packages", "parameters", "results")},
        "timeout": duration(script["timeout"]),
        "type_name": f"{SetType(script['type']).name.capitalize()} script",
        "hardware_type_name": HARDWARE[script["hardware_type"]],
        "parallel_name": PARALLEL[script["parallel"]],
        "history": [
            {
                "id": revision["id"],
                "comment": revision["comment"],
                "created": http_date(revision["created"]),
                **({"data": base64.b64encode(revision["data"].encode()).decode()} if include_script else {}),
            }
            for revision in script.get("history", ())
        ],
        "resource_uri": f"{API}/scripts/{script['name']}",
    }


def is_chosen(script: Record, names: list[str]) -> bool:
    """Whether a list of filters has the script's name, id or one of its tags."""
    return not names or bool({script["name"], str(script["id"]), *script["tags"]} & set(names))


def list_scripts(call: Call) -> Answer:
    """The scripts of a type, for a type of hardware, or with a name or tag."""
    readers = {"type": script_type, "hardware_type": hardware_type}
    asked = {name: read(value) for name, read in readers.items() if (value := last(call.query, name))}
    names, found = each(call.query, "filters"), SCRIPTS.table(call).where(**asked)
    return Answer([_shown(call, script) for script in found if is_chosen(script, names)])


def _shown(call: Call, script: Record) -> JSON:
    wants_text = last(call.query, "include_script").lower() not in ("", "false", "0")
    return script_json(call.region, script, include_script=wants_text)


def read_script(call: Call) -> Answer:
    """One script."""
    return Answer(_shown(call, SCRIPTS.get(call)))


def download(call: Call) -> Answer:
    """The text of a script, by default of its newest revision."""
    script, wanted = SCRIPTS.get(call), last(call.query, "revision")
    for revision in script.get("history", ()):
        if wanted in ("", str(revision["id"])):
            return Answer(text=revision["data"], content_type="application/binary")
    raise not_found("VersionedTextFile")


def revert(call: Call, record: Record) -> None:
    """Go back to an older revision of a script or DHCP snippet: to an id, or by minus a number of revisions."""
    to, history = mandatory(call.form, "to"), record.get("history", [])
    if not re.fullmatch(r"-?\d+", to):
        raise Refusal(400, "Invalid to: Please enter an integer value")
    kept = history[-int(to) :] if int(to) <= 0 else [each for each in history if each["id"] <= int(to)]
    if int(to) > 0 and (not kept or kept[0]["id"] != int(to)):
        raise Refusal(400, f"{to} not found in history.")
    if not kept:
        raise Refusal(400, "Goes too far back.")
    record["history"] = kept


def _add_tag(call: Call, script: Record) -> None:
    """Add a tag to a script."""
    if "," in last(call.form, "tag"):
        raise Refusal(400, 'Tag may not contain a ",".')
    add_tag(call, script)


def _refuse_built_in(_call: Call, script: Record) -> None:
    if script["default"]:
        raise Refusal(400, "Unable to delete default script")


SCRIPTS: Final = Resource(
    "Script",
    "scripts/",
    "scripts/{name}",
    script_json,
    form=RecordForm(
        "Script",
        Field("name", fields.text(255, r"[\w.-]+"), required=True, unique=True),
        Field("title", fields.text(255)),
        Field("description", fields.text()),
        Field("tags", fields.listed, default=[]),
        Field("type", _reported(script_type), default=int(SetType.TESTING)),
        Field("hardware_type", _reported(hardware_type), default=0),
        Field("parallel", _reported(_parallel), default=0),
        Field("results", _dictionary("results"), default={}),
        Field("parameters", _dictionary("parameters", nested=True), default={}),
        Field("packages", _dictionary("packages"), default={}),
        Field("timeout", _timeout, default=0),
        Field("for_hardware", fields.listed, default=[]),
        *(
            Field(name, fields.boolean, default=False)
            for name in ("destructive", "may_reboot", "recommission", "apply_configured_networking")
        ),
        Field("comment", fields.text()),
        Field("script", fields.verbatim),
        check=_check_script,
    ),
    given=lambda call: _with_metadata(call.form),
    find=lambda _call, table, name: table.named(name) or find(table, name),
    may_call=check_admin,
    before_store=_keep_revision,
    before_delete=_refuse_built_in,
    changes={"revert": revert, "add_tag": _add_tag, "remove_tag": remove_tag},
    more_many=keyed(GET=list_scripts),
    more_one=keyed(GET=read_script, GET_download=download),
)


def _commissioning(call: Call) -> list[Record]:
    return sorted(SCRIPTS.table(call).where(type=int(SetType.COMMISSIONING)), key=lambda script: str(script["name"]))


def _text(script: Record) -> str:
    return str(script["history"][0]["data"])


def list_names(call: Call) -> Answer:
    """The names of the commissioning scripts."""
    return Answer([script["name"] for script in _commissioning(call)])


def read_text(call: Call) -> Answer:
    """The text of a commissioning script."""
    return Answer(text=_text(COMMISSIONING_SCRIPTS.get(call)), content_type="application/binary")


def replace_text(call: Call) -> Answer:
    """Replace the text of a commissioning script."""
    script = COMMISSIONING_SCRIPTS.get(call)
    add_revision(call.region.tables, script, mandatory(call.form, "content"), None, call.region.now())
    return Answer(COMMISSIONING_SCRIPTS.view(call.region, script))


def _from_content(call: Call) -> Form:
    given = {"name": [last(call.form, "name")], "script": [last(call.form, "content")], "type": ["commissioning"]}
    return _with_metadata(given)


COMMISSIONING_SCRIPTS: Final = replace(
    SCRIPTS,
    many="commissioning-scripts/",
    one="commissioning-scripts/{name}",
    name="CommissioningScript",
    view=lambda _region, script: {"name": script["name"], "content": _text(script)},
    given=_from_content,
    find=lambda call, _table, name: next((each for each in _commissioning(call) if each["name"] == name), None),
    restricted=True,
    changes={},
    more_many=keyed(GET=list_names),
    more_one=keyed(GET=read_text, PUT=replace_text),
)

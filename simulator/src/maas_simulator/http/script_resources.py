"""Scripts for commissioning, testing and releasing, and the older API for commissioning scripts."""

import base64
import re
from typing import Any, Final

import yaml

from maas_simulator.http.calls import Answer, Call, Endpoint
from maas_simulator.http.resources import DELETED, Resource, check_admin
from maas_simulator.model.built_in_scripts import NEW_SCRIPT, add_revision
from maas_simulator.model.fields import (
    Cleaning,
    Field,
    Invalid,
    Reader,
    RecordForm,
    boolean,
    find,
    listed,
    text,
    verbatim,
)
from maas_simulator.model.forms import Form, each, last, mandatory
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record, Table, Tables
from maas_simulator.model.refusals import Refusal, invalid, not_found
from maas_simulator.model.scripts import JSON, SetType, duration, http_date
from maas_simulator.state import RegionState

HARDWARE: Final = ("Node", "CPU", "Memory", "Storage", "Network", "GPU")
"""The names of the values of ``hardware_type``."""
PARALLEL: Final = ("Disabled", "Run along other instances of this script", "Run along any other script.")
TYPE_NAMES: Final = {
    "commissioning": SetType.COMMISSIONING,
    "commission": SetType.COMMISSIONING,
    "testing": SetType.TESTING,
    "test": SetType.TESTING,
    "release": SetType.RELEASE,
}
_UNIT_SECONDS: Final = (3600, 60, 1)
_METADATA: Final = re.compile(
    r"^# --- Start MAAS \d+\.\d+ script metadata ---\n(.*?)^# --- End MAAS", re.DOTALL | re.MULTILINE
)


def script_type(value: str) -> int:
    """Read a type of scripts, by name or number; 400 for others."""
    if value.isdecimal():
        if int(value) in set(TYPE_NAMES.values()):
            return int(value)
        raise Refusal(400, "Invalid script type numeric value.")
    if value not in TYPE_NAMES:
        raise Refusal(400, "Script type must be commissioning, testing or release")
    return int(TYPE_NAMES[value])


def hardware_type(value: str) -> int:
    """Read a type of hardware, by name or number; 400 for others."""
    names = [name.lower() for name in HARDWARE]
    if value.isdecimal():
        if int(value) < len(names):
            return int(value)
        raise Refusal(400, "Invalid hardware type numeric value.")
    if value not in names:
        raise Refusal(400, "Hardware type must be node, cpu, memory, storage, or gpu")
    return names.index(value)


def _reported(read: Any) -> Reader:
    """Report the refusal of a filter as the message of a form's field."""

    def as_field(_tables: Tables, value: str) -> int:
        try:
            return int(read(value.strip().lower()))
        except Refusal as refusal:
            raise Invalid(refusal.body) from None

    return as_field


def _parallel(value: str) -> int:
    names = ["disabled", "instance", "any"]
    if value in names or (value.isdecimal() and int(value) < len(names)):
        return names.index(value) if value in names else int(value)
    raise Refusal(400, "Script parallel must be disabled, instance, or any.")


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
    """Read the text of the script, and let the metadata in its comments win over the form's fields."""
    values, data = cleaning.values, cleaning.values["script"]
    if not data and cleaning.old is None:
        cleaning.add_error("script", "Must be given a value")
    elif data and not data.startswith("#!/"):
        cleaning.add_error("script", "Must start with shebang.")
    if cleaning.old is not None and cleaning.old["default"]:
        for name in cleaning.given.keys() & values.keys() - {"tags", "timeout"}:
            cleaning.add_error(name, "Not allowed to change on default scripts.")
    if (values["name"] or "").isdecimal():
        cleaning.add_error("name", "Cannot be a number.")
    if (values["name"] or "") == "none":
        cleaning.add_error("name", '"none" is a reserved name.')
    hardware = [name.lower() for name in HARDWARE]
    tags = [tag for tag in values["tags"] if tag not in (*hardware, "destructive")]
    if not cleaning.errors:
        tags.append(hardware[values["hardware_type"]])
        values["tags"] = [*tags, "destructive"] if values["destructive"] else tags


class _ScriptForm(RecordForm):
    """A form whose fields may also be in comments of the script, as YAML."""

    def clean(self, tables: Tables, given: Form, table: Table | None, old: Record | None = None) -> Record:
        """Add the metadata to the form."""
        found = _METADATA.search(last(given, "script"))
        try:
            metadata = yaml.safe_load(re.sub(r"^# ?", "", found[1], flags=re.MULTILINE)) if found is not None else {}
        except yaml.YAMLError as error:
            raise invalid("script", f"Invalid YAML: {error}") from error
        written = {name: [_written(value)] for name, value in metadata.items()} if isinstance(metadata, dict) else {}
        fields = {("type" if name == "script_type" else name): values for name, values in {**given, **written}.items()}
        return super().clean(tables, fields, table, old)


def _written(value: Any) -> str:
    """The text of a form's field for a value in YAML."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return yaml.safe_dump(value) if isinstance(value, dict) else str(value)


def _store_revision(call: Call, script: Record) -> None:
    """Keep the text of the script as a revision."""
    data, comment = script.pop("script"), script.pop("comment")
    for name, value in NEW_SCRIPT.items():
        script.setdefault(name, value)
    if data:
        add_revision(call.region.tables, script, data, comment or None, call.region.now())


def script_json(region: RegionState, script: Record, *, include_script: bool = False) -> JSON:
    """A script with the list of its revisions, newest first."""
    del region
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
    found = list(SCRIPTS.table(call).values())
    if kind := last(call.query, "type"):
        found = call.region.tables["Script"].where(type=script_type(kind))
    if hardware := last(call.query, "hardware_type"):
        number = hardware_type(hardware)
        found = [script for script in found if script["hardware_type"] == number]
    names = each(call.query, "filters")
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


def revert(call: Call) -> Answer:
    """Go back to an older revision of a script."""
    script = SCRIPTS.get_to_change(call)
    script["history"] = reverted(call, script)
    return Answer(script_json(call.region, script))


def reverted(call: Call, record: Record) -> list[Record]:
    """The history of a record without the revisions that ``to`` takes back: an id, or minus a number of revisions."""
    to, history = mandatory(call.form, "to"), record.get("history", [])
    if not re.fullmatch(r"-?\d+", to):
        raise Refusal(400, "Invalid to: Please enter an integer value")
    if int(to) > 0:
        kept = [revision for revision in history if revision["id"] <= int(to)]
        if not kept or kept[0]["id"] != int(to):
            raise Refusal(400, f"{to} not found in history.")
        return kept
    if -int(to) >= len(history):
        raise Refusal(400, "Goes too far back.")
    return list(history[-int(to) :])


def add_tag(call: Call) -> Answer:
    """Add a tag to a script."""
    script, tag = SCRIPTS.get_to_change(call), mandatory(call.form, "tag")
    if "," in tag:
        raise Refusal(400, 'Tag may not contain a ",".')
    script["tags"] = list(dict.fromkeys((*script["tags"], tag)))
    return Answer(script_json(call.region, script))


def remove_tag(call: Call) -> Answer:
    """Remove a tag from a script."""
    script, tag = SCRIPTS.get_to_change(call), mandatory(call.form, "tag")
    script["tags"] = [name for name in script["tags"] if name != tag]
    return Answer(script_json(call.region, script))


def _refuse_built_in(_call: Call, script: Record) -> None:
    if script["default"]:
        raise Refusal(400, "Unable to delete default script")


def _by_name_or_id(_call: Call, table: Table, name: str) -> Record | None:
    return table.named(name) or find(table, name)


SCRIPTS: Final = Resource(
    "Script",
    "scripts/",
    "scripts/{name}",
    script_json,
    form=_ScriptForm(
        "Script",
        (
            Field("name", text(255, r"[\w.-]+"), required=True, unique=True),
            Field("title", text(255)),
            Field("description", text()),
            Field("tags", listed, default=[]),
            Field("type", _reported(script_type), default=int(SetType.TESTING)),
            Field("hardware_type", _reported(hardware_type), default=0),
            Field("parallel", _reported(_parallel), default=0),
            Field("results", _dictionary("results"), default={}),
            Field("parameters", _dictionary("parameters", nested=True), default={}),
            Field("packages", _dictionary("packages"), default={}),
            Field("timeout", _timeout, default=0),
            Field("for_hardware", listed, default=[]),
            *(
                Field(name, boolean, default=False)
                for name in ("destructive", "may_reboot", "recommission", "apply_configured_networking")
            ),
            Field("comment", text()),
            Field("script", verbatim),
        ),
        _check_script,
    ),
    find=_by_name_or_id,
    may_call=check_admin,
    after_create=_store_revision,
    after_update=lambda call, script, _before: _store_revision(call, script),
    before_delete=_refuse_built_in,
    more_many={("GET", None): list_scripts},
    more_one={
        ("GET", None): read_script,
        ("GET", "download"): download,
        ("POST", "revert"): revert,
        ("POST", "add_tag"): add_tag,
        ("POST", "remove_tag"): remove_tag,
    },
)


def _commissioning(call: Call) -> list[Record]:
    return sorted(SCRIPTS.table(call).where(type=int(SetType.COMMISSIONING)), key=lambda script: str(script["name"]))


def list_names(call: Call) -> Answer:
    """The names of the commissioning scripts."""
    return Answer([script["name"] for script in _commissioning(call)])


def create_commissioning_script(call: Call) -> Answer:
    """Create a commissioning script from its name and text."""
    given = {"name": [last(call.form, "name")], "script": [last(call.form, "content")], "type": ["commissioning"]}
    record = SCRIPTS.table(call).add(**SCRIPTS.form.clean(call.region.tables, given, SCRIPTS.table(call)))
    _store_revision(call, record)
    return Answer({"name": record["name"], "content": _text(record)})


def _text(script: Record) -> str:
    return str(script["history"][0]["data"])


def _commissioning_script(call: Call) -> Record:
    found = next((script for script in _commissioning(call) if script["name"] == call.parts[0]), None)
    if found is None:
        raise not_found("Script")
    return found


def read_commissioning_script(call: Call) -> Answer:
    """The text of a commissioning script."""
    return Answer(text=_text(_commissioning_script(call)), content_type="application/binary")


def update_commissioning_script(call: Call) -> Answer:
    """Replace the text of a commissioning script."""
    script = _commissioning_script(call)
    add_revision(call.region.tables, script, mandatory(call.form, "content"), None, call.region.now())
    return Answer({"name": script["name"], "content": _text(script)})


def delete_commissioning_script(call: Call) -> Answer:
    """Delete a commissioning script of a user."""
    script = _commissioning_script(call)
    _refuse_built_in(call, script)
    del SCRIPTS.table(call)[script["id"]]
    return DELETED


COMMISSIONING_SCRIPTS: Final = (
    Endpoint(
        "CommissioningScripts",
        "commissioning-scripts/",
        {("GET", None): list_names, ("POST", None): create_commissioning_script},
        restricted=True,
    ),
    Endpoint(
        "CommissioningScript",
        "commissioning-scripts/{name}",
        {
            ("GET", None): read_commissioning_script,
            ("PUT", None): update_commissioning_script,
            ("DELETE", None): delete_commissioning_script,
        },
        restricted=True,
    ),
)

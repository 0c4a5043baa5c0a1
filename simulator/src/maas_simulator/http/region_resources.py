"""Resources of the region itself: notifications, repositories, license keys, image sources and DHCP snippets."""

from typing import Final

from maas_simulator.http.calls import Answer, Call, keyed
from maas_simulator.http.network_views import subnet_json
from maas_simulator.http.resources import Resource, by_id_or_name, check_admin, record_json
from maas_simulator.http.script_resources import revert
from maas_simulator.model import fields
from maas_simulator.model.built_in_scripts import add_revision
from maas_simulator.model.fields import NO_CHOICE, WHOLE_FORM, Cleaning, Field, Invalid, Reader, RecordForm
from maas_simulator.model.forms import Form, last
from maas_simulator.model.networks import API
from maas_simulator.model.records import Record, Tables
from maas_simulator.model.refusals import forbidden, invalid, not_simulated
from maas_simulator.model.scripts import JSON, http_date, iso_date
from maas_simulator.state import RegionState


def _is_relevant(call: Call, notification: Record) -> bool:
    return bool(notification["admins" if call.user.is_superuser else "users"])


def _is_shown(call: Call, notification: Record) -> bool:
    return _is_relevant(call, notification) and call.user.username not in notification["dismissed"]


def _check_notification(cleaning: Cleaning) -> None:
    """Check that the message fits the context. MAAS 3.7: a change without ``dismissable`` makes it false."""
    values = cleaning.values
    values["dismissed"] = () if cleaning.old is None else cleaning.old["dismissed"]
    if cleaning.old is not None and "dismissable" not in cleaning.given:
        values["dismissable"] = False
    if cleaning.errors:
        return
    try:
        values["message"].format(**values["context"])
    except (KeyError, IndexError, ValueError):
        cleaning.add_error(WHOLE_FORM, "Notification cannot be rendered.")


def _no_user(_tables: Tables, value: str) -> None:
    if not value.isdecimal():
        raise Invalid(NO_CHOICE)
    raise not_simulated("notifications for one user")


def _read_notification(call: Call) -> Answer:
    """One notification, for superusers and for those whom it concerns."""
    notification = NOTIFICATIONS.get(call)
    if not call.user.is_superuser and not _is_relevant(call, notification):
        raise forbidden()
    return Answer(NOTIFICATIONS.view(call.region, notification))


def _dismiss(call: Call) -> Answer:
    """Hide a notification from the user."""
    notification = NOTIFICATIONS.get(call)
    if not _is_relevant(call, notification):
        raise forbidden()
    notification["dismissed"] = (*notification["dismissed"], call.user.username)
    return Answer(None)


NOTIFICATIONS: Final = Resource(
    "Notification",
    "notifications/",
    "notifications/{id}/",
    record_json("notifications", "dismissed"),
    form=RecordForm(
        "Notification",
        Field("ident", fields.text(40), default=None, unique=True),
        Field("user", _no_user, default=None),
        Field("users", fields.boolean, default=False),
        Field("admins", fields.boolean, default=False),
        Field("message", fields.text(), required=True),
        Field("context", fields.json_object("Context is not a mapping."), default={}),
        Field("category", fields.choice("error", "warning", "success", "info"), default="info"),
        Field("dismissable", fields.boolean, default=True),
        check=_check_notification,
    ),
    shown=_is_shown,
    may_call=check_admin,
    more_one=keyed(GET=_read_notification, POST_dismiss=_dismiss),
)


_URL: Final = fields.text(pattern=r"(https?://|ppa:|ftp://).*", wrong="Enter a valid repository URL or PPA location.")


def _parts(name: str, *known: str) -> Reader:
    words = f"'{{}}' is not a valid {name}. It should be one of: {', '.join(map(repr, known))}."
    return fields.all_of(fields.choice(*known, wrong=words))


REPOSITORIES: Final = Resource(
    "PackageRepository",
    "package-repositories/",
    "package-repositories/{id}/",
    record_json("package-repositories", "default"),
    form=RecordForm(
        "Package repository",
        Field("name", fields.text(41), required=True, unique=True),
        Field("url", _URL, required=True),
        Field("distributions", fields.listed, default=[]),
        Field("disabled_pockets", _parts("pocket", "updates", "security", "backports"), default=[]),
        Field("disabled_components", _parts("component", "restricted", "universe", "multiverse"), default=[]),
        Field("disable_sources", fields.boolean, default=False),
        Field("components", fields.listed, default=[]),
        Field("arches", fields.listed, default=["amd64", "i386"]),
        Field("key", fields.text()),
        Field("enabled", fields.boolean, default=True),
    ),
    find=by_id_or_name,
    may_call=check_admin,
)


def _with_system(call: Call) -> Form:
    series = last(call.form, "distro_series")
    return {**call.form, "distro_series": [series and f"{last(call.form, 'osystem')}/{series}"]}


LICENSE_KEYS: Final = Resource(
    "LicenseKey",
    "license-keys/",
    "license-key/{osystem}/{distro_series}",
    record_json("license-key"),
    form=RecordForm(
        "License key",
        *(Field(name, fields.one_of(name), required=True) for name in ("osystem", "distro_series")),
        Field("license_key", fields.text(), required=True),
    ),
    given=_with_system,
    find=lambda _call, _table, _name: None,
    restricted=True,
)
"""The license keys: none, because no image needs one."""


def _check_source(cleaning: Cleaning) -> None:
    given = [name for name in ("keyring_filename", "keyring_data") if cleaning.values[name]]
    if not given:
        cleaning.add_error(WHOLE_FORM, "One of keyring_data or keyring_filename must be specified.")
    if len(given) > 1:
        cleaning.add_error(WHOLE_FORM, "Only one of keyring_filename or keyring_data can be specified.")


def _stamp(call: Call, values: Record, old: Record | None) -> None:
    now = iso_date(call.region.now())
    values.update({"created": old["created"] if old else now, "updated": now})


SOURCES: Final = Resource(
    "BootSource",
    "boot-sources/",
    "boot-sources/{id}/",
    record_json("boot-sources"),
    form=RecordForm(
        "Boot source",
        Field("url", fields.text(pattern=r"https?://\S+", wrong="Enter a valid URL."), required=True, unique=True),
        Field("keyring_filename", fields.text(4096)),
        Field("keyring_data", fields.verbatim),
        check=_check_source,
    ),
    before_store=_stamp,
    restricted=True,
    created=201,
)


def _selection_json(_region: RegionState, selection: Record) -> JSON:
    source = selection["boot_source"]
    shown = {name: value for name, value in selection.items() if name != "boot_source"}
    uri = f"{API}/boot-sources/{source}/selections/{selection['id']}/"
    return {**shown, "boot_source_id": source, "resource_uri": uri}


def _check_selection(call: Call, values: Record, old: Record | None) -> None:
    image = f"{values['os']}/{values['release']}"
    if old is None and not (image.startswith("ubuntu/") and image in call.region.images.names):
        words = f"OS {values['os']} with release {values['release']} has no available images for download"
        raise invalid("os", words)


SELECTIONS: Final = Resource(
    "BootSourceSelection",
    "boot-sources/{boot_source_id}/selections/",
    "boot-sources/{boot_source_id}/selections/{id}/",
    _selection_json,
    form=RecordForm(
        "Boot source selection",
        *(Field(name, fields.text(), required=True) for name in ("os", "release")),
        *(Field(name, fields.listed, default=["*"]) for name in ("arches", "subarches", "labels")),
    ),
    within=(SOURCES, "boot_source"),
    before_store=_check_selection,
    restricted=True,
    created=201,
)


_SCOPES: Final = ("node", "subnet", "iprange")


def _check_snippet(cleaning: Cleaning) -> None:
    """Check the scope of a snippet. A subnet or node makes it no longer global."""
    values = cleaning.values
    scopes = [name for name in _SCOPES if values[name] is not None]
    if values["global_snippet"] and scopes:
        values.update(dict.fromkeys(scopes))
    elif len(scopes) > 1:
        cleaning.add_error(scopes[0], "Cannot set a node and a subnet on a DHCP snippet.")


def _keep_value(call: Call, values: Record, old: Record | None) -> None:
    value, values["history"] = values.pop("value"), old["history"] if old else []
    if value and value not in [each["data"] for each in values["history"][:1]]:
        add_revision(call.region.tables, values, value, None, call.region.now())


SNIPPETS: Final = Resource(
    "DHCPSnippet",
    "dhcp-snippets/",
    "dhcp-snippets/{id}/",
    record_json(
        "dhcp-snippets",
        value=lambda _region, snippet: snippet["history"][0]["data"],
        node=lambda _region, snippet: snippet["node"] and {"system_id": snippet["node"]},
        subnet=lambda region, snippet: (
            snippet["subnet"] and subnet_json(region, region.tables["Subnet"][snippet["subnet"]])
        ),
        global_snippet=lambda _region, snippet: not any(snippet[name] for name in _SCOPES),
        history=lambda _region, snippet: [
            {"id": each["id"], "value": each["data"], "created": http_date(each["created"])}
            for each in snippet["history"]
        ],
    ),
    form=RecordForm(
        "DHCP snippet",
        Field("name", fields.text(255), required=True),
        Field("value", fields.verbatim, required=True),
        Field("description", fields.text()),
        Field("enabled", fields.boolean, default=True),
        Field("node", fields.text(), default=None),
        Field("subnet", fields.reference("Subnet"), default=None),
        Field("iprange", fields.reference("IPRange"), default=None),
        Field("global_snippet", fields.boolean, default=False),
        check=_check_snippet,
    ),
    find=by_id_or_name,
    may_call=check_admin,
    before_store=_keep_value,
    changes={"revert": revert},
)

"""Handlers for the region itself: version, settings and events."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from maas_simulator.http.calls import Answer, Call, route
from maas_simulator.http.resources import check_admin
from maas_simulator.model.config import READERS
from maas_simulator.model.events import LEVELS, Event
from maas_simulator.model.fields import MAC_ADDRESS, Invalid
from maas_simulator.model.forms import Form, integer, last, mandatory
from maas_simulator.model.interfaces import mac_addresses
from maas_simulator.model.networks import API
from maas_simulator.model.refusals import PLAIN, Refusal, invalid

CAPABILITIES: Final = (
    "networks-management static-ipaddresses ipv6-deployment-ubuntu devices-management storage-deployment-ubuntu "
    "network-deployment-ubuntu bridging-interface-ubuntu bridging-automatic-ubuntu authenticate-api"
)
VERSION: Final = Answer(
    {"capabilities": CAPABILITIES.split(), "version": "3.7.3", "subversion": ""},
    headers={"Vary": "Authorization"},
    indented=False,
)
"""The version response, which is the same for all users."""

MOST_EVENTS, USUAL_EVENTS = 1000, 100


def get_config(call: Call) -> Answer:
    """One setting, as a bare JSON value."""
    return Answer(call.region.settings[_setting(call.query)], content_type="application/json")


def set_config(call: Call) -> Answer:
    """Change a setting, for superusers."""
    check_admin(call)
    name, value = mandatory(call.form, "name"), mandatory(call.form, "value")
    _setting(call.form)
    try:
        call.region.settings[name] = READERS[name](call.region.tables, value) if value else ""
    except Invalid as wrong:
        raise invalid(name, *wrong.args) from wrong
    return Answer(text="OK", content_type=PLAIN)


def _setting(form: Form) -> str:
    """The name of a setting."""
    name = mandatory(form, "name")
    if name not in READERS:
        message = f"{name} is not a valid config setting (valid settings are: {', '.join(READERS)})."
        raise Refusal(400, json.dumps({name: [message]}), "application/json")
    return name


def events(call: Call) -> Answer:
    """Events of the machines that the user may see, newest first."""
    limit, after, before = (integer(call.query, name) for name in ("limit", "after", "before"))
    limit = USUAL_EVENTS if limit is None else limit
    if limit > MOST_EVENTS:
        raise Refusal(400, f"Requested number of events {limit} is greater than limit: {MOST_EVENTS}")
    if after is not None and before is not None:
        raise Refusal(400, "There is undetermined behaviour when both `after` and `before` are specified.")
    found = call.region.log.query(
        _event_filter(call), limit=max(1, limit), after=after, before=before, of=_machines_in_query(call)
    )
    oldest = found[-1].id if found else None if after is None else after + 1
    newest = found[0].id if found else None
    values = {name: [text for text in texts if text] for name, texts in call.query.items()}
    # Only the last value of each parameter, as in MAAS's own addresses.
    kept = urlencode({name: texts[-1] for name, texts in values.items() if texts and name not in ("after", "before")})
    return Answer(
        {
            "count": len(found),
            "events": [call.region.oddities.event_json(event) for event in found],
            "next_uri": _uri(kept, "after", newest),
            "prev_uri": None if oldest is None else _uri(kept, "before", oldest),
        },
    )


def _uri(kept: str, name: str, value: int | None) -> str:
    """The address of other events, with the kept parameters of the query."""
    return f"{API}/events/?{'&'.join(filter(None, (kept, '' if value is None else f'{name}={value}')))}"


def _event_filter(call: Call) -> Callable[[Event], bool]:
    """The event filter. MAAS's ``owner`` filter compares the event's whole ``username``."""
    level = last(call.query, "level") or "INFO"
    if level not in LEVELS:
        raise Refusal(400, f"Unrecognised log level: {level}")
    # AUDIT is the lowest level, but chooses only its own events, of which this region has none.
    levels = {level} if level == "AUDIT" else {name for name, rank in LEVELS.items() if rank >= LEVELS[level]}
    if wrong := [text for text in call.query.get("mac_address", ()) if not MAC_ADDRESS.fullmatch(text)]:
        raise Refusal(400, f"Invalid MAC address(es): {', '.join(wrong)}")
    owners = frozenset(call.query.get("owner", ()))
    chosen: dict[str, bool] = {}
    hides = call.region.oddities.hides

    def wanted(event: Event) -> bool:
        if event.system_id not in chosen:
            chosen[event.system_id] = _is_selected(call, event.system_id)
        by = not owners or event.username in owners
        return event.level in levels and by and chosen[event.system_id] and not hides(event)

    return wanted


def _machines_in_query(call: Call) -> list[str] | None:
    """The machines left by an id or hostname filter, or None without such a filter."""
    if "id" in call.query:
        return list(dict.fromkeys(call.query["id"]))
    if "hostname" in call.query:
        return [machine.system_id for machine in call.region.machines.called(call.query["hostname"])]
    return None


def _is_selected(call: Call, system_id: str) -> bool:
    """Whether the machine exists, is visible to the user and matches the filters."""
    machine = call.region.machines.get(system_id)
    if machine is None or not call.sees(machine):
        return False
    fields = {"id": system_id, "hostname": machine.hostname, "zone": machine.zone, "pool": machine.pool}
    fields |= {"agent_name": machine.agent_name, "domain": "maas"}
    if asked := call.query.get("mac_address"):
        own = mac_addresses(call.region.tables, machine)
        if set(own).isdisjoint(asked):
            return False
    return all(value in call.query[name] for name, value in fields.items() if name in call.query)


ENDPOINTS: Final = (
    replace(route("Version", "version/", GET=lambda _call: VERSION), is_open=True),
    route("Maas", "maas/", GET_get_config=get_config, POST_set_config=set_config),
    route("Events", "events/", GET_query=events),
)

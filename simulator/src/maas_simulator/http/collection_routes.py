"""Handlers for zones, pools, tags, users and domains, and for collections that are empty here.

Where only the list was recorded, a single read is assumed to return the same. Its 404 message is a guess, based on tags
and subnets.
"""

import re

from maas_simulator.http.calls import Answer, Call
from maas_simulator.http.render import DOMAIN, machine_json, pool_json, tag_json, zone_json
from maas_simulator.model.forms import last
from maas_simulator.model.networks import API
from maas_simulator.model.refusals import forbidden, invalid, not_found, not_simulated
from maas_simulator.model.scripts import JSON

_TAG_NAME = re.compile(r"[\w.-]+", re.ASCII)
_SYSTEM_USERS = {"MAAS": (True, "maas@localhost"), "maas-init-node": (False, "node-init-user@localhost")}
"""MAAS's internal users: whether they are superusers, and their email addresses."""


def whoami(call: Call) -> Answer:
    """The user who sends the request."""
    return Answer(call.user.as_json())


def users(call: Call) -> Answer:
    """All users by name, including MAAS's own."""
    every = _users(call)
    return Answer([every[name] for name in sorted(every)])


def user(call: Call) -> Answer:
    """One user, by name."""
    every = _users(call)
    if call.parts[0] not in every:
        raise not_found("User")
    return Answer(every[call.parts[0]])


def zones(call: Call) -> Answer:
    """All zones."""
    return Answer([zone_json(call.region, name) for name in call.region.zones])


def zone(call: Call) -> Answer:
    """One zone, by name."""
    if call.parts[0] not in call.region.zones:
        raise not_found("Zone")
    return Answer(zone_json(call.region, call.parts[0]))


def pools(call: Call) -> Answer:
    """All resource pools, by name."""
    return Answer([pool_json(call.region, name) for name in sorted(call.region.pools)])


def pool(call: Call) -> Answer:
    """One resource pool, by id."""
    for name in call.region.pools:
        shown = pool_json(call.region, name)
        if str(shown["id"]) == call.parts[0]:
            return Answer(shown)
    raise not_found("ResourcePool")


def tags(call: Call) -> Answer:
    """All tags."""
    return Answer([tag_json(call.region, name) for name in call.region.tags])


def make_tag(call: Call) -> Answer:
    """Create a tag, for superusers. Automatic tags with a ``definition`` are not simulated."""
    if not call.user.is_superuser:
        raise forbidden()
    name = last(call.form, "name")
    if not name:
        raise invalid("name", "This field is required.")
    if not _TAG_NAME.fullmatch(name):
        raise invalid("name", "Enter a valid value.")
    if name in call.region.tags:
        raise invalid("name", "Tag with this Name already exists.")
    if last(call.form, "definition"):
        raise not_simulated("tags with a definition")
    call.region.tags[name] = last(call.form, "comment")
    return Answer(tag_json(call.region, name))


def tag(call: Call) -> Answer:
    """One tag."""
    return Answer(tag_json(call.region, _tag(call)))


def tagged(call: Call) -> Answer:
    """The machines with a tag that the user may see, in full."""
    name, region = _tag(call), call.region
    found = [machine for machine in region.machines.values() if name in machine.tag_names and call.sees(machine)]
    return Answer([machine_json(region, machine) for machine in found])


def domains(call: Call) -> Answer:
    """All DNS domains: only the default one."""
    del call
    return Answer([DOMAIN])


def domain(call: Call) -> Answer:
    """One DNS domain, by id."""
    if call.parts[0] != str(DOMAIN["id"]):
        raise not_found("Domain")
    return Answer(DOMAIN)


def none(call: Call) -> Answer:
    """A collection that is empty in this region."""
    del call
    return Answer([])


def no_device(call: Call) -> Answer:
    """One device: none exist."""
    del call
    raise not_found("Device")


def _tag(call: Call) -> str:
    if call.parts[0] not in call.region.tags:
        raise not_found("Tag")
    return call.parts[0]


def _users(call: Call) -> dict[str, JSON]:
    people = {name: user.as_json() for name, user in call.region.users.items()}
    return people | {name: _system_user(name) for name in _SYSTEM_USERS}


def _system_user(name: str) -> JSON:
    is_superuser, email = _SYSTEM_USERS[name]
    return {
        "is_superuser": is_superuser,
        "username": name,
        "email": email,
        "is_local": True,
        "resource_uri": f"{API}/users/{name}/",
    }

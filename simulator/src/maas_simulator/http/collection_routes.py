"""Handlers for users, and for collections that are empty here.

Where only the list was recorded, a single read is assumed to return the same. Its 404 message is a guess, based on tags
and subnets.
"""

from maas_simulator.http.calls import Answer, Call
from maas_simulator.model.networks import API
from maas_simulator.model.refusals import not_found
from maas_simulator.model.scripts import JSON

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


def none(call: Call) -> Answer:
    """A collection that is empty in this region."""
    del call
    return Answer([])


def no_device(call: Call) -> Answer:
    """One device: none exist."""
    del call
    raise not_found("Device")


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

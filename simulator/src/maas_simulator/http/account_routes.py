"""Users, their API keys, and their SSH and SSL keys."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from maas_simulator.http.calls import Answer, Call, keyed, route
from maas_simulator.http.resources import DELETED, Resource, by_id, check_admin, check_anybody, no_change, record_json
from maas_simulator.model.auth import USUAL_CONSUMER, Token, User
from maas_simulator.model.fields import Cleaning, Field, RecordForm, text
from maas_simulator.model.forms import last, mandatory
from maas_simulator.model.records import Record, Table
from maas_simulator.model.refusals import HTML, PLAIN, Refusal, database_conflict, invalid, not_found, not_simulated

LOGIN: Final = "/MAAS/accounts/authenticate/"
"""The path where people log in, outside the API."""

SYSTEM_USERS: Final = {
    "MAAS": User("MAAS", is_superuser=True, email="maas@localhost"),
    "maas-init-node": User("maas-init-node", email="node-init-user@localhost"),
}
"""MAAS's internal users."""

_SSH_KEY: Final = re.compile(r"(ssh-(rsa|dss|ed25519)|ecdsa-sha2-nistp\d+|sk-\S+) [A-Za-z0-9+/]{16,}={0,3}( .*)?")


def authenticate(call: Call) -> Answer:
    """Return the first API key of a user."""
    if call.method != "POST":
        raise Refusal(405, "", HTML, {"Allow": "POST"}).without_vary()
    user = call.region.users.get(last(call.form, "username"))
    if user is None or not user.accepts(last(call.form, "password")):
        raise Refusal(403, "", HTML).without_vary()
    token, name = call.region.authenticator.tokens_of(user)[0], last(call.form, "consumer") or USUAL_CONSUMER
    return Answer(_shown(replace(token, name=name)), content_type="application/json", headers={}, indented=False)


def users(call: Call) -> Answer:
    """All users by name, including MAAS's own."""
    return Answer([each.as_json() for _, each in sorted(_everybody(call).items())])


def user(call: Call) -> Answer:
    """One user, by name."""
    return Answer(_find(call, call.parts[0]).as_json())


def create_user(call: Call) -> Answer:
    """Create a user, for superusers. MAAS does not check the values."""
    check_admin(call)
    username, email, password = (mandatory(call.form, name) for name in ("username", "email", "password"))
    is_superuser = mandatory(call.form, "is_superuser")
    if is_superuser not in ("0", "1"):
        raise Refusal(500, f"Not a valid Boolean value (0 or 1): '{is_superuser}'")
    every = _everybody(call)
    if username in every or any(email == other.as_json()["email"] for other in every.values()):
        raise database_conflict()
    made = call.region.users[username] = User(username, is_superuser == "1", password, email)
    return Answer(made.as_json())


def delete_user(call: Call) -> Answer:
    """Delete a user who owns nothing, or whose property another user gets."""
    check_admin(call)
    name, region = call.parts[0], call.region
    if name == call.user.username:
        raise Refusal(400, "An administrator cannot self-delete.")
    if name in SYSTEM_USERS:
        raise not_simulated("deleting one of MAAS's own users")
    if name not in region.users:
        return DELETED
    machines = [machine for machine in region.machines.values() if machine.owner == name]
    devices, ranges = region.tables["Device"].where(owner=name), region.tables["IPRange"].where(user=name)
    heir = last(call.query, "transfer_resources_to")
    to = _find(call, heir).username if heir else name
    if to == name and (machines or devices or ranges):
        owned = {"IP range(s)": len(ranges), "node(s)": len(machines) + len(devices)}
        listed = ", ".join(f"{count} {kind}" for kind, count in owned.items() if count)
        raise Refusal(400, f"User {name} cannot be deleted: {listed} are still allocated")
    for machine in machines:
        machine.owner = to
    for record, field in (*((each, "owner") for each in devices), *((each, "user") for each in ranges)):
        record[field] = to
    del region.users[name]
    region.authenticator.tokens.pop(name, None)
    return DELETED


def _everybody(call: Call) -> dict[str, User]:
    return {**call.region.users, **SYSTEM_USERS}


def _find(call: Call, name: str) -> User:
    found = _everybody(call).get(name)
    if found is None:
        raise not_found("User")
    return found


def list_tokens(call: Call) -> Answer:
    """The user's API keys."""
    tokens = call.region.authenticator.tokens_of(call.user)
    return Answer([{"name": token.name, "token": token.api_key} for token in tokens])


def create_token(call: Call) -> Answer:
    """Create an API key."""
    token = call.region.authenticator.create_token(call.user, last(call.form, "name") or USUAL_CONSUMER)
    return Answer(_shown(token))


def delete_token(call: Call) -> Answer:
    """Delete one of the user's API keys."""
    _replace_token(call, "token_key")
    return DELETED


def rename_token(call: Call) -> Answer:
    """Rename one of the user's API keys."""
    mandatory(call.form, "token")
    _replace_token(call, "token", mandatory(call.form, "name"))
    return Answer(text="Accepted", status=202, content_type=PLAIN)


def _replace_token(call: Call, parameter: str, *names: str) -> None:
    """Rename the API key, or delete it. The parameter is its token, or all three parts."""
    key = mandatory(call.form, parameter).split(":")
    tokens = call.region.authenticator.tokens_of(call.user)
    found = next((token for token in tokens if token.key in (key[0], *key[1:2])), None)
    if found is None:
        raise not_found("Token")
    new = [replace(found, name=name or found.name) for name in names]
    kept = [each for token in tokens for each in (new if token is found else [token])]
    call.region.authenticator.tokens[call.user.username] = kept


def _shown(token: Token) -> dict[str, str]:
    return {"consumer_key": token.consumer, "name": token.name, "token_key": token.key, "token_secret": token.secret}


def import_ssh_keys(call: Call) -> Answer:
    """Import the keys of a user of Launchpad or GitHub. Only the check of the parameter is simulated."""
    source = mandatory(call.form, "keysource")
    protocol, separator, _ = source.partition(":")
    if separator and protocol.lower() not in ("lp", "gh"):
        words = f"Unknwon protocol {protocol}."  # MAAS's own spelling, codespell:ignore unknwon
        raise Refusal(500, f"{words} Valid protocols are 'LP' and 'GH'.")
    raise not_simulated("fetching SSH keys from the internet")


def _keys(kind: str, path: str, wrong: str, is_valid: Callable[[str], object], more: Record) -> Resource:
    """The keys of a kind. Users see and change only their own."""

    def is_own(call: Call, key: Record) -> bool:
        return bool(key["user"] == call.user.username)

    def find_own(call: Call, table: Table, name: str) -> Record | None:
        found = by_id(call, table, name)
        return found if found is not None and is_own(call, found) else None

    def check(cleaning: Cleaning) -> None:
        if cleaning.values["key"] and not is_valid(cleaning.values["key"]):
            cleaning.add_error("key", wrong)

    def check_new(call: Call, values: Record, _old: Record | None) -> None:
        if call.region.tables[kind].where(user=values["user"], key=values["key"]):
            raise invalid("key", "This key has already been added for this user.")

    return Resource(
        kind,
        f"account/prefs/{path}/",
        f"account/prefs/{path}/{{id}}/",
        record_json(f"account/prefs/{path}", "user"),
        form=RecordForm("", Field("key", text(), required=True), check=check),
        from_call=lambda call: {"user": call.user.username, **more},
        before_store=check_new,
        find=find_own,
        shown=is_own,
        may_create=check_anybody,
        may_change=no_change,
        methods="GET POST DELETE",
        created=201,
        more_many=keyed(POST_import=import_ssh_keys) if more else {},
    )


SSH_KEYS: Final = _keys(
    "SSHKey", "sshkeys", "Invalid SSH public key: Invalid value.", _SSH_KEY.fullmatch, {"keysource": ""}
)
SSL_KEYS: Final = _keys(
    "SSLKey", "sslkeys", "Invalid SSL key.", lambda key: key.startswith("-----BEGIN CERTIFICATE-----"), {}
)
ENDPOINTS: Final = (
    route("Users", "users/", GET=users, GET_whoami=lambda call: Answer(call.user.as_json()), POST=create_user),
    route("User", "users/{username}/", GET=user, DELETE=delete_user),
    route(
        "Account",
        "account/",
        GET_list_authorisation_tokens=list_tokens,
        POST_create_authorisation_token=create_token,
        POST_delete_authorisation_token=delete_token,
        POST_update_token_name=rename_token,
    ),
)

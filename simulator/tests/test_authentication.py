"""Credentials, and MAAS's responses to bad ones."""

import time
from typing import Any

import pytest

from maas_simulator import User
from maas_simulator.model.auth import Authenticator
from maas_simulator.model.refusals import Refusal


def test_version_needs_no_credentials(admin: Any) -> None:
    answer = admin.send("GET", "version/", headers={})
    assert (answer.status_code, answer.json()["version"]) == (200, "3.7.3")


def test_whoami_returns_the_user(admin: Any, bob: Any) -> None:
    assert admin.get("users/?op=whoami").json() == {
        "is_superuser": True,
        "username": "admin",
        "email": "admin@example.com",
        "is_local": True,
        "resource_uri": "/MAAS/api/2.0/users/admin/",
    }
    assert bob.get("users/op-whoami").json()["is_superuser"] is False


def test_without_credentials_one_machine_is_forbidden_and_the_list_is_a_bad_request(admin: Any) -> None:
    one = admin.send("GET", "machines/7xneda/", headers={})
    assert (one.status_code, one.text) == (401, "Forbidden")
    assert "WWW-Authenticate" not in one.headers
    many = admin.send("GET", "machines/", headers={})
    assert (many.status_code, many.text) == (400, "Unrecognised signature: method=GET op=None")
    assert admin.send("GET", "nonesuch/", headers={}).status_code == 404


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer abc", "OAuth nonsense"])
def test_other_kinds_of_credentials_are_ignored(admin: Any, header: str) -> None:
    assert admin.send("GET", "machines/", headers={"Authorization": header}).status_code == 400


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({"oauth_consumer_key": "bad"}, "Authorization Error: Invalid API key."),
        ({"oauth_token": "badtoken"}, "Authorization Error: 'Invalid access token: badtoken'"),
        ({"oauth_signature": None}, "Authorization Error: 'Missing signature.'"),
        (
            {"oauth_signature_method": "HMAC-SHA256"},
            (
                "Authorization Error: 'Signature method HMAC-SHA256 not supported try one of the following: "
                "PLAINTEXT, HMAC-SHA1'"
            ),
        ),
    ],
)
def test_each_kind_of_bad_credentials_has_its_own_error(admin: Any, changes: dict[str, str | None], body: str) -> None:
    answer = admin.send("GET", "machines/", headers=admin.signed(**changes))
    assert (answer.status_code, answer.text) == (401, body)
    assert answer.headers["WWW-Authenticate"] == 'OAuth realm="OAuth"'
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_a_wrong_signature_makes_the_region_print_the_secret(admin: Any) -> None:
    answer = admin.send("GET", "machines/", headers=admin.signed(oauth_signature="&wrong"))
    secret = admin.key.split(":")[2]
    assert answer.text == f"Authorization Error: 'Invalid signature. Expected signature base string: &{secret}'"


def test_a_nonce_can_be_used_once(admin: Any) -> None:
    header = admin.signed(oauth_nonce="once")
    assert admin.send("GET", "users/?op=whoami", headers=header).status_code == 200
    again = admin.send("GET", "users/?op=whoami", headers=header)
    assert (again.status_code, again.text) == (401, "Authorization Error: 'Nonce already used: once'")


def test_a_nonce_is_remembered_while_its_timestamp_is_valid() -> None:
    user = User("admin", is_superuser=True)
    authenticator = Authenticator({"admin": user})
    token = user.own_token
    parts = {"oauth_consumer_key": token.consumer, "oauth_token": token.key, "oauth_signature_method": "PLAINTEXT"}
    signed = {**parts, "oauth_signature": f"%26{token.secret}", "oauth_nonce": "once"}

    def ask(now: int) -> None:
        authenticator.clock = lambda: now
        pairs = (f'{name}="{value}"' for name, value in signed.items())
        assert authenticator.user("OAuth " + ", ".join(pairs)) is user

    signed["oauth_timestamp"] = "1000"
    ask(1000)
    with pytest.raises(Refusal, match="Nonce already used: once"):
        ask(1300)
    with pytest.raises(Refusal, match="Expired timestamp"):
        ask(1301)
    signed["oauth_timestamp"] = "1301"
    ask(1301)


def test_a_timestamp_may_be_in_the_future_but_not_five_minutes_old(admin: Any) -> None:
    now = int(time.time())
    for seconds, status in ((3600, 200), (-290, 200), (-310, 401)):
        header = admin.signed(oauth_timestamp=str(now + seconds))
        answer = admin.send("GET", "users/?op=whoami", headers=header)
        assert answer.status_code == status
    assert answer.text.startswith(f"Authorization Error: 'Expired timestamp: given {now - 310} and now ")
    assert answer.text.endswith("has a greater difference than threshold 300'")


def test_a_timestamp_that_is_not_a_number_is_a_server_error(admin: Any) -> None:
    answer = admin.send("GET", "machines/", headers=admin.signed(oauth_timestamp="soon"))
    assert (answer.status_code, answer.text) == (500, "invalid literal for int() with base 10: 'soon'")


def test_a_plain_user_may_not_use_operations_for_superusers_or_owners(bob: Any) -> None:
    refused = [
        bob.op("node02", "commission"),
        bob.op("node06", "deploy"),
        bob.op("node07", "release"),
        bob.send("DELETE", "machines/7xneda/"),
        bob.post("tags/", name="xx"),
    ]
    assert [(answer.status_code, answer.text) for answer in refused] == [(403, "")] * 5


def test_a_plain_user_sees_their_own_and_unowned_machines(bob: Any, admin: Any) -> None:
    seen = {machine["hostname"] for machine in bob.get("machines/").json()}
    assert "node09" in seen
    assert not seen & {"node06", "node07", "node08", "node11"}
    admin.op("node07", "release")
    assert "node07" not in {event["hostname"] for event in bob.get("events/?op=query").json()["events"]}


LOGIN = "http://maas/MAAS/accounts/authenticate/"


def test_a_password_is_exchanged_for_the_api_key(admin: Any) -> None:
    form = {"username": "admin", "password": "admin", "consumer": "maas-mcp@desk"}
    answer = admin.send("POST", LOGIN, headers={}, data=form)
    key = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"], key["name"]) == (
        200,
        "application/json",
        form["consumer"],
    )
    assert ":".join(key[part] for part in ("consumer_key", "token_key", "token_secret")) == admin.key


@pytest.mark.parametrize("form", [{"username": "admin", "password": "wrong"}, {"username": "nobody"}, {}])
def test_a_wrong_password_is_forbidden_without_a_word(admin: Any, form: dict[str, str]) -> None:
    answer = admin.send("POST", LOGIN, headers={}, data=form)
    assert (answer.status_code, answer.text) == (403, "")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Vary" not in answer.headers


def test_a_password_is_only_taken_by_post(admin: Any) -> None:
    answer = admin.send("GET", LOGIN, headers={})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_user_of_a_world_may_have_a_password() -> None:
    assert User("admin", password="S3cret").accepts("S3cret")
    assert not User("admin", password="S3cret").accepts("admin")

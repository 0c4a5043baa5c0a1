"""HTTP as MAAS speaks it: methods, operations, bodies, paths, and where credentials may be."""

from typing import Any
from urllib.parse import urlencode

import pytest


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("HEAD", "version/", "GET"),
        ("POST", "version/", "GET"),
        ("OPTIONS", "zones/", "GET, POST"),
        ("PUT", "machines/", "GET, POST"),
        ("DELETE", "nodes/", "GET, POST"),
        ("POST", "events/?op=query", "GET"),
        ("FROB", "machines/7xneda/", "DELETE, GET, POST, PUT"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_a_405(admin: Any, method: str, path: str, allowed: str) -> None:
    answer = admin.send(method, path)
    assert (answer.status_code, answer.headers["Allow"], answer.content) == (405, allowed, b"")


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "version/?op=nonesuch", 400, "Unrecognised signature: method=GET op=nonesuch"),
        ("GET", "machines/op-nonesuch", 404, "Unknown API endpoint: /MAAS/api/2.0/machines/op-nonesuch."),
        ("GET", "machines/?op=nonesuch&op=list_allocated", 200, "["),
        ("GET", "http://maas/MAAS/api/2.0//machines/", 200, "["),
        ("GET", "zones/%2e%2e/zones/", 404, "Unknown API endpoint: /MAAS/api/2.0/zones/../zones/."),
        ("POST", "machines/7xneda/op-lock?op=unlock", 409, "Machine is not locked"),
        ("POST", "machines/7xneda/op-lock?op=nonesuch", 404, "Unknown API endpoint"),
        ("GET", "static-routes/no%20such/", 500, "Field 'id' expected a number but got 'no such'."),
        ("GET", "machines/?format=yaml", 400, "Invalid output format specified 'yaml'."),
        ("GET", f"machines/?hostname={'a' * 8200}", 414, "<html>"),
        ("GET", f"machines/?hostname={'a' * 5000}", 200, "["),
        ("GET", "http://maas/api/2.0/version/", 404, "<html>"),
        ("GET", "http://maas/MAAS/api/", 302, ""),
        ("GET", "http://maas/MAAS/metrics", 404, ""),
        ("GET", "machines/?hostname=a%00b", 500, "A string literal cannot contain NUL (0x00) characters."),
        ("GET", "machines/?op=is_registered", 400, "No provided mac_address!"),
    ],
)
def test_paths_and_operations(admin: Any, method: str, path: str, status: int, body: str) -> None:
    answer = admin.send(method, path)
    assert (answer.status_code, answer.text[: len(body)]) == (status, body)


@pytest.mark.parametrize(
    ("content_type", "body", "status", "text"),
    [
        ("application/json", '{"name": "nohost"}', 500, "'dict' object has no attribute 'lists'"),
        ("application/json", "[1]", 500, "'list' object has no attribute 'lists'"),
        ("application/json", "{", 400, "Bad Request"),
        ("application/x-yaml", "name: nohost", 500, "'dict' object has no attribute 'lists'"),
        ("application/x-yaml", "{", 400, "Bad Request"),
        ("text/plain", "name=nohost", 500, "'NoneType' object has no attribute 'lists'"),
        ("foo/bar", "name=nohost", 500, "'NoneType' object has no attribute 'lists'"),
        ("", "name=nohost", 200, "{"),
        ("multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data;", 200, "{"),
    ],
)
def test_an_allocation_reads_only_forms(admin: Any, content_type: str, body: str, status: int, text: str) -> None:
    headers = {**admin.signed(), **({"Content-Type": content_type} if content_type else {})}
    answer = admin.send("POST", "machines/?op=allocate", headers=headers, content=body)
    assert (answer.status_code, answer.text[: len(text)]) == (status, text)


def parameters(admin: Any, **changes: str) -> dict[str, str]:
    header = admin.signed(**changes)["Authorization"].removeprefix("OAuth ")
    pairs = (part.split("=", 1) for part in header.split(", "))
    return {name: value.strip('"').replace("%26", "&") for name, value in pairs}


def test_credentials_may_be_in_the_query_or_in_a_form(admin: Any) -> None:
    query = admin.send("GET", f"users/?op=whoami&{urlencode(parameters(admin))}", headers={})
    assert query.json()["username"] == "admin"
    form = admin.send("POST", "machines/?op=release", headers={}, data=parameters(admin))
    assert (form.status_code, form.json()) == (200, [])


def test_credentials_need_no_quotes_but_their_own_scheme(admin: Any) -> None:
    header = admin.signed()["Authorization"]
    bare = admin.send("GET", "users/?op=whoami", headers={"Authorization": header.replace('"', "")})
    assert bare.json()["username"] == "admin"
    lower = {"Authorization": admin.signed()["Authorization"].replace("OAuth", "oauth")}
    assert admin.send("GET", "users/?op=whoami", headers=lower).status_code == 400


def test_a_token_is_accepted_with_the_consumer_key_of_another_user(admin: Any, bob: Any) -> None:
    header = admin.signed(oauth_consumer_key=bob.key.split(":")[0])
    assert admin.send("GET", "users/?op=whoami", headers=header).json()["username"] == "admin"


def test_an_empty_nonce_is_never_used_up(admin: Any) -> None:
    for _ in range(2):
        assert admin.send("GET", "users/?op=whoami", headers=admin.signed(oauth_nonce="")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "devices/", 400),
        ("GET", "rackcontrollers/", 400),
        ("GET", "machines/?op=is_registered&mac_address=52:54:00:00:00:00", 200),
        ("POST", "machines/", 400),
        ("POST", "machines/?op=allocate", 400),
        ("POST", "nodes/?op=set_zone", 405),
        ("GET", "nodes/7xneda/", 401),
        ("GET", "zones/", 401),
    ],
)
def test_some_collections_have_handlers_without_credentials(admin: Any, method: str, path: str, status: int) -> None:
    assert admin.send(method, path, headers={}).status_code == status

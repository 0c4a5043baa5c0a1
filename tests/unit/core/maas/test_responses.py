"""Recorded responses of MAAS and of proxies in front of it, and the error for each."""

import json
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.errors import (
    MaasAuthError,
    MaasBadRequestError,
    MaasConflictError,
    MaasError,
    MaasNotFoundError,
    MaasPermissionError,
    MaasProtocolError,
    MaasUnavailableError,
)
from maas_mcp.maas import responses
from maas_mcp.maas.responses import MAX_RETRY_AFTER, Request, Response, read_response

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON_KIND = "application/json; charset=utf-8"
DEPLOY = Request("POST", "machines/7xneda/", "deploy")
LINK = Request("POST", "nodes/7xneda/interfaces/10/", "link_subnet")
READ = Request("GET", "machines/7xneda/")
NGINX_502 = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx/1.22.1</body>\r\n</html>\r\n"


def response(status: int, content_type: str = "", body: str | bytes = "", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body.encode() if isinstance(body, str) else body
    return Response(status, named | ({"content-type": content_type} if content_type else {}), content)


def failure(sent: Request, given: Response) -> MaasError:
    with pytest.raises(MaasError) as caught:
        read_response(sent, given)
    assert caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize(
    ("sent", "status", "content_type", "body", "error", "said"),
    [
        (DEPLOY, 409, TEXT, "Can't deploy a machine that is in the 'Deploying' state", MaasConflictError, True),
        (DEPLOY, 409, TEXT, "No machine with system ID ywtymp available.", MaasConflictError, True),
        (DEPLOY, 409, HTML, "Conflict error. Try your request again", MaasUnavailableError, False),
        (DEPLOY, 400, TEXT, "Unknown machine(s): zzzzzz.", MaasBadRequestError, True),
        (DEPLOY, 400, "text/plain", "Bad Request", MaasBadRequestError, True),
        (
            DEPLOY,
            400,
            HTML,
            "<html><h1>400 The plain HTTP request was sent to HTTPS port</h1>",
            MaasProtocolError,
            False,
        ),
        (DEPLOY, 403, TEXT, "", MaasPermissionError, False),
        (DEPLOY, 403, HTML, "<html>Forbidden</html>", MaasProtocolError, False),
        (DEPLOY, 403, TEXT, "This method is reserved for admin users.", MaasPermissionError, True),
        (READ, 404, "text/plain", "No Machine matches the given query.", MaasNotFoundError, True),
        (LINK, 404, TEXT, "IP address is already in use.", MaasConflictError, True),
        (READ, 404, TEXT, "Unknown API endpoint: /MAAS/api/2.0/nonesuch/.", MaasProtocolError, True),
        (READ, 404, HTML, "<html>404 Not Found</html>", MaasProtocolError, False),
        (READ, 404, TEXT, "404 page not found", MaasProtocolError, True),  # Traefik and Go servers
        (READ, 404, TEXT, "default backend - 404", MaasProtocolError, True),  # Kubernetes
        (READ, 405, HTML, "", MaasError, False),
        (READ, 429, TEXT, "slow down", MaasUnavailableError, True),
        (DEPLOY, 500, TEXT, "Failed to complete power action: IPMI: connection timeout", MaasError, True),
        (READ, 500, HTML, "<html>Traceback</html>", MaasError, False),
        (READ, 502, HTML, NGINX_502, MaasUnavailableError, False),
        (DEPLOY, 503, TEXT, "Unable to connect to any rack controller bwdhs4;", MaasUnavailableError, True),
        (READ, 504, HTML, NGINX_502, MaasUnavailableError, False),
        (READ, 200, HTML, "<html><title>Log in</title></html>", MaasProtocolError, False),
        (READ, 200, JSON_KIND, '{"system_id": "7xn', MaasProtocolError, False),
        (READ, 200, "application/bson", "\x1a\x01", MaasProtocolError, False),
        (READ, 200, TEXT, "Forbidden", MaasProtocolError, False),
        (DEPLOY, 200, HTML, "ok", MaasProtocolError, False),
        (READ, 200, JSON_KIND, "[" * 100_000, MaasProtocolError, False),
    ],
)
def test_a_response_becomes_an_error_with_maas_message_but_never_an_html_page(  # noqa: PLR0917 - a row of the table
    sent: Request, status: int, content_type: str, body: str, error: type[MaasError], said: bool
) -> None:
    raised = failure(sent, response(status, content_type, body))
    assert type(raised) is error
    assert raised.maas_says == (body if said else None)
    assert not said or error is MaasProtocolError or body in raised.message
    assert "<html" not in raised.message


@pytest.mark.parametrize(("what", "hinted"), [("Machine", True), ("Node", True), ("Tag", False), ("Interface", False)])
def test_an_unknown_machine_gets_a_hint_about_hostnames(what: str, *, hinted: bool) -> None:
    hint = failure(READ, response(404, TEXT, f"No {what} matches the given query.")).hint
    assert ("not its hostname. To find it, list the machines" in str(hint)) is hinted


def test_an_error_about_a_form_lists_its_fields() -> None:
    body = '{"cpu_count": ["Invalid CPU count: number required."], "__all__": ["Either one or the other."], "mem": "x"}'
    raised = failure(Request("POST", "machines/", "allocate"), response(400, JSON_KIND, body))
    assert isinstance(raised, MaasBadRequestError)
    assert raised.fields == {
        "cpu_count": ["Invalid CPU count: number required."],
        "__all__": ["Either one or the other."],
        "mem": ["x"],
    }
    assert raised.message == (
        'MAAS refused POST machines/?op=allocate: "cpu_count: Invalid CPU count: number required.'
        ' Either one or the other. mem: x"'
    )


@pytest.mark.parametrize(
    ("words", "hinted"),
    [
        ("Node has no address family in common with the server", "commission the machine again"),
        ("Node must be configured to use a network", "linked to a subnet"),
    ],
)
@pytest.mark.parametrize("content_type", [JSON_KIND, TEXT])
def test_a_deployment_without_a_network_gets_a_hint(words: str, hinted: str, content_type: str) -> None:
    raised = failure(
        DEPLOY, response(400, content_type, json.dumps({"network": [words]}) if content_type == JSON_KIND else words)
    )

    assert words in raised.message
    assert hinted in str(raised.hint)
    assert failure(DEPLOY, response(400, content_type, '{"network": ["No."]}')).hint is None


def test_a_very_long_error_about_a_form_is_shortened() -> None:
    fields = {f"{number}{'x' * 1000}": ["no" * 2000] * 20 for number in range(100)}
    raised = failure(DEPLOY, response(400, JSON_KIND, json.dumps(fields)))

    assert isinstance(raised, MaasBadRequestError)
    assert len(raised.fields) == 20
    assert {len(messages) for messages in raised.fields.values()} == {5}
    assert max(len(name) for name in raised.fields) <= 64
    assert all("more characters)" in name for name in raised.fields)


@pytest.mark.parametrize("body", [rb'{"name": "half \ud83d"}', b'{"name": "half \xed\xa0\xbd"}'])
def test_an_unpaired_surrogate_in_a_response_is_replaced(body: bytes) -> None:
    reported = read_response(READ, response(200, JSON_KIND, body))

    assert isinstance(reported, dict)
    assert str(reported["name"]).rstrip("\ufffd") == "half "
    assert failure(DEPLOY, response(400, JSON_KIND, body)).message.encode()


def test_the_error_for_a_wrong_api_key_does_not_quote_maas() -> None:
    raised = failure(READ, response(401, HTML, "Authorization Error: 'Invalid signature. Expected …: &KEY2'"))
    assert isinstance(raised, MaasAuthError)
    assert raised.maas_says is None
    assert "KEY2" not in "".join(traceback.format_exception(raised))
    assert raised.hint is not None
    assert "MAAS_API_KEY" in raised.hint
    assert "maas apikey" in raised.hint


def test_the_error_for_a_401_names_a_clock_that_is_behind() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=900), usegmt=True)
    hint = failure(READ, response(401, HTML, date=date)).hint
    assert hint is not None
    assert "clock" in hint


def test_the_error_for_a_401_does_not_mention_a_clock_that_is_ahead() -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=3600), usegmt=True)
    assert "clock" not in str(failure(READ, response(401, HTML, date=date)).hint)


@pytest.mark.parametrize("path", ["machines/", "nodes/"])
def test_a_response_of_the_anonymous_handler_is_an_auth_error(path: str) -> None:
    unrecognised = response(400, TEXT, "Unrecognised signature: method=GET op=None")
    assert isinstance(failure(Request("GET", path), unrecognised), MaasAuthError)


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (Request("GET", "events/"), "Unrecognised signature: method=GET op=None"),
        (Request("POST", "machines/", "nonesuch"), "Unrecognised signature: method=POST op=nonesuch"),
        (Request("GET", "machines/", "deploy"), "Unrecognised signature: method=GET op=deploy"),
    ],
)
def test_an_unknown_operation_is_a_bad_request(sent: Request, body: str) -> None:
    assert isinstance(failure(sent, response(400, TEXT, body)), MaasBadRequestError)


def test_retry_after_is_read_in_seconds_and_as_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=60), usegmt=True)
    for value, low, high in (("10", 10, 10), (soon, 20, 30), (past, 0, 0)):
        raised = failure(DEPLOY, response(503, TEXT, "no rack", retry_after=value))
        assert isinstance(raised, MaasUnavailableError)
        assert raised.retry_after is not None
        assert low <= raised.retry_after <= high
        assert raised.sent


@pytest.mark.parametrize("value", ["3600", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_retry_after_above_a_minute_counts_as_a_minute(value: str) -> None:
    raised = failure(READ, response(503, HTML, "maintenance", retry_after=value))
    assert getattr(raised, "retry_after", None) == MAX_RETRY_AFTER == 60


@pytest.mark.parametrize("header", ["retry_after", "date"])
@pytest.mark.parametrize(
    "value",
    ["Mon, 1 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "Mon, 1 Jan 2026 99999999 GMT"],
)
def test_an_invalid_date_header_is_ignored(header: str, value: str) -> None:
    for status in (401, 503):
        raised = failure(READ, response(status, TEXT, "", **{header: value}))
        assert getattr(raised, "retry_after", 0.0) in {None, 0.0}
        assert "clock" not in str(raised.hint)


@given(st.text())
def test_any_retry_after_is_ignored_or_at_most_a_minute(value: str) -> None:
    raised = failure(DEPLOY, response(409, HTML, "Conflict", retry_after=value))
    assert isinstance(raised, MaasUnavailableError)
    assert raised.retry_after is None or 0 <= raised.retry_after <= MAX_RETRY_AFTER


def test_a_deeply_nested_400_is_a_bad_request() -> None:
    raised = failure(DEPLOY, response(400, JSON_KIND, "[" * 100_000))
    assert isinstance(raised, MaasBadRequestError)
    assert raised.fields == {}


def test_a_bug_in_reading_a_response_becomes_a_protocol_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(responses._ERROR_FACTORIES, 503, lambda *_: 1 / 0)
    raised = failure(READ, response(503, TEXT, "hunter2"))
    assert isinstance(raised, MaasProtocolError)
    assert raised.message == "MAAS's response to GET machines/7xneda/ cannot be read (503)."
    assert "ZeroDivisionError" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://maas.example.com:5443/MAAS/api/2.0/machines/?token=hunter2", "https://maas.example.com:5443"),
        ("https://user:hunter2@maas.example.com/", "https://maas.example.com"),
        ("//[::1]:80/x", "https://[::1]:80"),
        ("/MAAS/r/", "another path of the same host"),
        ("http://[broken", "another path of the same host"),
        ("", "another path of the same host"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_error_for_a_redirect_shows_only_its_host(location: str, shown: str, status: int) -> None:
    raised = failure(DEPLOY, response(status, HTML, "<html>Moved</html>", location=location))
    assert isinstance(raised, MaasProtocolError)
    assert f"to {shown}." in raised.message
    assert "hunter2" not in f"{raised.message}{raised.hint}"


def test_long_messages_of_maas_are_shortened() -> None:
    raised = failure(DEPLOY, response(500, TEXT, "x" * 100_000))
    assert raised.maas_says is not None
    assert len(raised.maas_says) <= 2000
    assert raised.maas_says.endswith("(98,027 more characters)")
    assert len(raised.message) < 600


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500, 503])
@pytest.mark.parametrize("content_type", [TEXT, JSON_KIND])
def test_user_data_repeated_by_maas_is_removed(status: int, content_type: str) -> None:
    user_data = "#cloud-config\npassword: 'hunter2'\n"
    sent = Request("POST", "machines/7xneda/", "deploy", secrets=(user_data,))
    body = (
        json.dumps({"user_data": [f"{user_data!r} is wrong", user_data]})
        if content_type == JSON_KIND
        else f"Bad: {user_data}"
    )
    raised = failure(sent, response(status, content_type, body))
    reported = (
        f"{raised.message} {raised.hint} {raised.maas_says} {raised.args} {getattr(raised, 'fields', '')} {sent!r}"
    )
    assert "hunter2" not in reported


@pytest.mark.parametrize("encode", [str, quote])
@pytest.mark.parametrize("piece", ["Größe" * 20_000, "c2VjcmV0" * 20_000])
def test_the_start_of_long_user_data_in_a_long_message_is_removed(piece: str, encode: Callable[[str], str]) -> None:
    sent = Request("POST", "machines/7xneda/", "deploy", secrets=(f"#cloud-config\n{piece}\n",))

    raised = failure(sent, response(500, TEXT, f"{'x' * 1_900} {encode(piece)}"))

    assert raised.maas_says == "[removed: it repeats a secret parameter]"


@pytest.mark.parametrize(
    ("sent", "content_type", "body", "value"),
    [
        (READ, "application/json", '"vm"', "vm"),
        (READ, JSON_KIND, "false", False),
        (DEPLOY, JSON_KIND, "null", None),
        (DEPLOY, JSON_KIND, "", None),
        (Request("DELETE", "machines/qqg4dn/"), "text/plain", "", None),
        (
            Request("POST", "boot-resources/", "import"),
            TEXT,
            "Import of boot resources started",
            "Import of boot resources started",
        ),
        (Request("POST", "boot-resources/", "import"), TEXT, "3", 3),
        (Request("POST", "boot-resources/", "import"), TEXT, "[" * 100_000, "[" * 100_000),
    ],
)
def test_a_successful_response_is_parsed(sent: Request, content_type: str, body: str, value: object) -> None:
    assert read_response(sent, response(200, content_type, body)) == value


@given(st.integers(100, 599), st.sampled_from([TEXT, HTML, JSON_KIND, "application/bson", ""]), st.binary(max_size=200))
def test_any_response_is_json_or_a_maas_error(status: int, content_type: str, body: bytes) -> None:
    for sent in (READ, DEPLOY):
        with suppress(MaasError):
            read_response(sent, response(status, content_type, body))

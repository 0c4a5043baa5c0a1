"""The log of the server hides secrets in both formats, and leaves all other text as it is."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from maas_mcp.cli.logs import configure_logging
from maas_mcp.settings import Settings

KEY = "consumerconsumer18:tokentokentoken018:SecretSecretSecretSecretSecret42"
OTHER_KEY = "AAAAAAAAAAAAAAAAAA:BBBBBBBBBBBBBBBBBB:CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"
SIGNING = 'signs "ids" with \\ and ü'
FORMATS = ["text", "json"]


@contextmanager
def logging_to(stream: io.StringIO, log_format: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The root logger, configured as by ``maas-mcp serve``, in place of pytest's."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    root.handlers[:] = []
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(
        Settings(
            maas_url="http://127.0.0.1:5240/MAAS",
            maas_api_key=SecretStr(KEY),
            secret=(SecretStr(SIGNING),),
            log_format=log_format,
        )
    )
    try:
        yield logging.getLogger("acme")
    finally:
        root.handlers[:], root.level = before


def fail(message: str) -> None:
    raise ValueError(message)


@pytest.fixture(params=FORMATS)
def log_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(
    ("message", "hidden"),
    [
        (f"key {KEY}", KEY),
        ("only its last part SecretSecretSecretSecretSecret42", "SecretSecretSecretSecretSecret42"),
        (f"another principal's {OTHER_KEY}", OTHER_KEY),
        (f"secret {SIGNING}", SIGNING),
        ("Authorization: Bearer eyJhbGciOi.JIUzI1NiJ9.abc-def", "eyJhbGciOi.JIUzI1NiJ9.abc-def"),
        ("token maas-mcp_0123456789abcdefghij", "0123456789abcdefghij"),
        ('OAuth oauth_signature="%26SecretOfOther", realm', "%26SecretOfOther"),
    ],
)
def test_secrets_are_hidden_in_messages_and_tracebacks(
    log_format: str, message: str, hidden: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    with logging_to(stream, log_format, monkeypatch) as logger:
        logger.warning("%s", message)
        try:
            fail(message)
        except ValueError:
            logger.exception("it failed")

    text = stream.getvalue()

    assert hidden not in text
    assert json.dumps(hidden)[1:-1] not in text
    assert text.count("***") >= 2
    if log_format == "json":
        records = [json.loads(line) for line in text.splitlines()]
        assert [each["message"].count("***") for each in records] == [1, 0]
        assert "***" in records[1]["exception"]


@pytest.mark.parametrize(
    "message", ["The bearer token is not accepted.", "Send Bearer TOKEN", "maas-mcp serve", "a:b:c"]
)
def test_other_text_stays_as_it_is(log_format: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    with logging_to(stream, log_format, monkeypatch) as logger:
        logger.warning(message)
    assert message in stream.getvalue()
    assert "***" not in stream.getvalue()


def test_additional_fields_do_not_change_those_of_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    with logging_to(stream, "json", monkeypatch) as logger:
        logger.warning("line 1\nline 2", extra={"level": "forged", "color_message": "red"})
    (record,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (record["message"], record["level"]) == ("line 1\nline 2", "WARNING")
    assert "color_message" not in record

"""Warnings about user data that cloud-init would ignore. MAAS deploys anyway and reports no error."""

import gzip
import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import TextContent
from pydantic import SecretStr

from maas_deploy.user_data import warning
from maas_mcp.testing import MaasRegion

CONFIG = "#cloud-config\npackages: [nginx]\n"
MIME = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n--B\n"
READ = [
    CONFIG,
    "#cloud-config\r\npackages: [nginx]\r\n",
    "#cloud-config",
    "#cloud-config-archive\n- type: text/cloud-config\n",
    "#!/bin/sh\ntrue\n",
    "#!python3",
    "#include\nhttps://example.com/user-data\n",
    "#include-once\nhttps://example.com/user-data\n",
    "#part-handler\ndef list_types(): ...\n",
    "#cloud-boothook\ntrue\n",
    f"## template: jinja\n{CONFIG}",
    MIME,
    "Content-Type: multipart/mixed; boundary=B\nMIME-Version: 1.0\n",
    "content-type: multipart/mixed\n",
    f"From nobody Sat Nov 28 19:00:00 2026\n{MIME}",
    "#ps1_sysnative\nGet-Date\n",
]
IGNORED = [
    ("packages: [nginx]\n", "has an unknown format"),
    ("# cloud-config\npackages: [nginx]\n", "has an unknown format"),
    ("#cloudconfig\npackages: [nginx]\n", "has an unknown format"),
    ("---\n#cloud-config\n", "has an unknown format"),
    ("// comment\n", "has an unknown format"),
    ('{"packages": ["nginx"]}', "has an unknown format"),
    ("apt-get update", "has an unknown format"),
    (" \n", "has an unknown format"),
    ("cloud-init.yaml", "has an unknown format"),
    (f"\n\n{CONFIG}", "starts with blank lines or spaces"),
    (f"  {CONFIG}", "starts with blank lines or spaces"),
    (f"\ufeff{CONFIG}", "starts with a byte order mark"),
    ("#Cloud-Config\npackages: [nginx]\n", "starts with upper case"),
    ("#!/bin/sh\r\ntrue\r\n", "is a script with Windows line endings"),
    ("#cloud-boothook\r\n#!/bin/sh\r\n", "is a script with Windows line endings"),
    (
        "## template: jinja\npackages: [nginx]\n",
        "is a template, and the text after its first line has an unknown format",
    ),
    ("## template: jinja\n#!/bin/sh\r\ntrue\r\n", "is a template, and the text after its first line is a script with"),
]


def base64(data: bytes) -> str:
    return b64encode(data).decode()


def wrapped(text: str) -> list[str]:
    """The text in all encodings in which a client may send it."""
    data = text.encode()
    lines = "\n".join(base64(data)[start : start + 76] for start in range(0, len(base64(data)), 76))
    return [text, base64(data), lines, base64(gzip.compress(data))]


@pytest.mark.parametrize("text", READ)
def test_readable_user_data_gives_no_warning_in_any_encoding(text: str) -> None:
    assert [warning(SecretStr(each)) for each in wrapped(text)] == [None] * 4


@pytest.mark.parametrize(("text", "reported"), IGNORED)
def test_ignored_user_data_gives_a_warning_in_every_encoding(text: str, reported: str) -> None:
    for each in wrapped(text):
        assert (warning(SecretStr(each)) or "").startswith(f"`user_data` {reported}")


@pytest.mark.parametrize(
    "data",
    [CONFIG.encode("utf-16"), b"\x00\x01", gzip.compress(b"nothing", mtime=0), b"\x1f\x8bgzip"],
    ids=["utf-16", "binary", "gzip of unknown format", "invalid gzip"],
)
def test_binary_user_data_of_unknown_format_gives_a_warning(data: bytes) -> None:
    assert warning(SecretStr(base64(data)))


@pytest.mark.parametrize("none", [None, SecretStr("")])
def test_missing_user_data_gives_no_warning(none: SecretStr | None) -> None:
    assert warning(none) is None


def test_large_compressed_user_data_is_not_fully_decompressed() -> None:
    bomb = base64(gzip.compress(b"#cloud-config\n" + bytes(50_000_000)))
    assert warning(SecretStr(bomb)) is None


@given(st.text() | st.binary().map(base64) | st.binary().map(gzip.compress).map(base64))
def test_a_warning_never_contains_user_data(given_: str) -> None:
    reported = warning(SecretStr(given_))
    fixed = {warning(SecretStr(text)) for text, _ in IGNORED} | {None}
    assert reported in fixed | {
        warning(SecretStr(base64(each + b"#cloud-config"))) for each in (b"\xef\xbb\xbf", b"\xff\xfe")
    }


@pytest.mark.parametrize("wait", [{}, {"wait_seconds": 0}])
@pytest.mark.parametrize(
    ("tool", "which"), [("maas_deploy_machine", "system_id"), ("maas_deploy_machines", "system_ids")]
)
def test_the_result_of_a_deployment_has_the_warning_but_no_user_data(
    maas_region: MaasRegion, tool: str, which: str, wait: dict[str, Any]
) -> None:
    system_id = maas_region.machine("node01").system_id
    machine = {which: system_id if which == "system_id" else [system_id]}
    answer = maas_region.call_tool(tool, user_data="packages: [hunter2]\n", **machine, **wait)

    assert not answer.is_error
    assert answer.structured_content
    (reported,) = answer.structured_content["warnings"]
    assert reported.startswith("`user_data` has an unknown format, so cloud-init ignores it.")
    (text,) = [each.text for each in answer.content if isinstance(each, TextContent)]
    assert text.splitlines()[-1] == f"Warning: {reported}"
    assert "hunter2" not in json.dumps(answer.model_dump(mode="json"))
    assert "hunter2" not in str(maas_region.messages)


def test_a_deployment_with_valid_user_data_has_no_warning(maas_region: MaasRegion) -> None:
    system_id = maas_region.machine("node01").system_id
    answer = maas_region.call_tool("maas_deploy_machine", system_id=system_id, user_data=CONFIG)

    assert answer.structured_content
    assert answer.structured_content["warnings"] == []
    assert "Warning" not in str(answer.content)

"""Parsing KEY=VALUE arguments of a tool."""

from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import Tool

from maas_mcp.cli import arguments

PROPERTIES: dict[str, Any] = {
    "system_id": {"type": "string", "description": "The machine."},
    "limit": {"type": "integer", "default": 50},
    "weight": {"type": "number"},
    "erase": {"type": "boolean"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "sizes": {"type": "array", "items": {"type": "integer"}},
    "status": {"type": "array", "items": {"type": "string", "enum": ["ready", "new", "failed_testing"]}},
    "power": {"type": "string", "enum": ["on", "off"]},
    "layout": {"type": "object"},
    "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    "both": {"type": ["string", "boolean"]},
    "parameters": {
        "type": "array",
        "items": {"type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "integer"}}},
    },
}


def tool(*required: str) -> Tool:
    schema = {"type": "object", "properties": PROPERTIES, "required": list(required)}
    return Tool(name="maas_try", description="Tries. And more.", input_schema=schema)


def problem(*pairs: str, required: tuple[str, ...] = ()) -> str:
    with pytest.raises(click.UsageError) as caught:
        arguments.parse(tool(*required), pairs)
    return caught.value.message


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("system_id=4y3h7n", "4y3h7n"),
        ("system_id=", ""),
        ("system_id=a=b", "a=b"),
        ("system_id=17", "17"),
        ("system_id=true", "true"),
        ("system_id=@@home", "@home"),
        ("limit=5", 5),
        ("limit=-5", -5),
        ("weight=0.5", 0.5),
        ("weight=2", 2),
        ("erase=true", True),
        ("erase=false", False),
        ("tags=", []),
        ("tags=gpu", ["gpu"]),
        ("tags=gpu, ssd", ["gpu", "ssd"]),
        ('tags=["a,b", "c"]', ["a,b", "c"]),
        ("sizes=1,2", [1, 2]),
        ("status=ready,new", ["ready", "new"]),
        ("power=on", "on"),
        ("parameters=a=1, b=2", [{"name": "a", "value": 1}, {"name": "b", "value": 2}]),
        ('parameters={"a": 1}', {"a": 1}),
        ('parameters=[{"name": "a", "value": 1}]', [{"name": "a", "value": 1}]),
        ('layout={"a": 1}', {"a": 1}),
        ("either=5", 5),
        ("either=five", "five"),
        ("both=true", True),
        ("both=yes", "yes"),
    ],
)
def test_the_schema_decides_how_a_value_is_parsed(pair: str, value: Any) -> None:
    key = pair.partition("=")[0]
    parsed = arguments.parse(tool(), [pair])
    assert parsed == {key: value}
    assert type(parsed[key]) is type(value)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("limit=five", "limit: expected an integer."),
        ("limit=5.5", "limit: expected an integer."),
        ("limit=true", "limit: expected an integer."),
        ("erase=yes", "erase: expected true or false."),
        ("erase=1", "erase: expected true or false."),
        ("erase=True", "erase: expected true or false."),
        ("sizes=1,x", "sizes: expected an integer."),
        ("tags=[1", "tags: expected items separated by commas, or a JSON array."),
        ("layout=[]", "layout: expected a JSON object."),
        ("power=of", "power: expected one of the values below; the nearest is off."),
        ("status=redy", "status: expected one of the values below; the nearest is ready."),
        ("system-id=x", "system-id is not an argument of this tool. Did you mean system_id?"),
        ("parameters=a", "parameters: expected NAME=VALUE pairs separated by commas, or a JSON object."),
        ("parameters=a=x", "parameters: expected an integer."),
        ("system_id", "An argument has no `=`. Expected KEY=VALUE."),
        ("system_id=@/no/such/file", "system_id: /no/such/file cannot be read: No such file or directory."),
        ("system_id=@~nosuchuser/x", "system_id: ~nosuchuser/x cannot be read: this machine has no user nosuchuser."),
        ("system_id=caf\udce9", "system_id: the value is not UTF-8 text."),
        ("layout=" + "[" * 100_000, "layout: expected a JSON object."),
        ("weight=NaN", "weight: expected a number."),
        ("weight=1e999", "weight: expected a number."),
        ('layout={"a": Infinity}', "layout: expected a JSON object."),
    ],
)
def test_an_error_about_a_value_describes_its_argument(pair: str, expected: str) -> None:
    message = problem(pair)
    assert message.startswith(expected + "\n")
    assert "Arguments of maas_try:" in message
    key = pair.partition("=")[0]
    described = [each for each in PROPERTIES if f"\n  {each}=" in message]
    assert described == ([key] if key in PROPERTIES and key != "_meta" and "=" in pair else [])
    assert message.endswith("\n\n`maas-mcp call --list maas_try` describes all of its arguments.")


@given(pairs=st.lists(st.tuples(st.sampled_from([*PROPERTIES, "colour"]), st.text(max_size=9)).map("=".join)))
def test_every_error_fits_a_terminal_of_24_lines(pairs: list[str]) -> None:
    usage_and_prompt = 5
    assert len(problem(*pairs, "colour=red", required=("power",)).splitlines()) + usage_and_prompt <= 24


def test_an_unknown_argument_shows_all_argument_names() -> None:
    assert "Arguments of maas_try: system_id, limit, weight, erase, tags," in problem("colour=red")


def test_an_error_never_contains_the_wrong_value() -> None:
    assert "hunter2" not in problem("limit=hunter2")
    assert "hunter2" not in problem("power=hunter2")


def test_the_error_names_every_missing_argument() -> None:
    assert problem(required=("system_id", "limit")).startswith("system_id and limit are missing.\n")


def test_a_repeated_argument_is_rejected() -> None:
    assert problem("limit=1", "limit=2").startswith("limit is given more than once.")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_value_can_come_from_a_file_in_any_unicode_encoding(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "cloud-init.yaml"
    file.write_bytes("#cloud-config\r\nhostname: café\r\n".encode(encoding))
    parsed = arguments.parse(tool(), [f"system_id=@{file}"])
    assert parsed == {"system_id": "#cloud-config\nhostname: café\n"}


def test_a_number_can_come_from_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    (file := tmp_path / "limit").write_bytes(b"\xef\xbb\xbf5\r\n")
    assert arguments.parse(tool(), [f"limit=@{file}"]) == {"limit": 5}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hunter2\xff", "it is not UTF-8 text (byte 8); save it as UTF-8."),
        (b"h\0u\0n\0t\0e\0r\x002\0", "it is binary, or UTF-16 without a byte order mark; save it as UTF-8 text."),
    ],
)
def test_a_file_that_is_not_text_is_rejected(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "image"
    file.write_bytes(content)
    message = problem(f"system_id=@{file}")
    assert message.startswith(f"system_id: {file} cannot be read: {reason}\n")
    assert "hunter2" not in message


def test_a_directory_and_a_missing_file_name_are_rejected(tmp_path: Path) -> None:
    assert f"system_id: {tmp_path} cannot be read: it is a directory, not a file." in problem(f"system_id=@{tmp_path}")
    assert "system_id: expected a file name after @." in problem("system_id=@")


def test_the_help_describes_required_arguments_first() -> None:
    lines = arguments.describe(tool("power")).splitlines()
    assert lines[0] == "Arguments of maas_try:"
    assert lines[1].split() == ["power=STRING", "Required.", "One", "of:", "on,", "off."]
    assert "  limit=INTEGER " in "\n".join(lines)
    assert "Default: 50." in "\n".join(lines)
    assert "  parameters=NAME=VALUE,…" in "\n".join(lines)


@pytest.mark.parametrize(("columns", "widest"), [("60", 60), ("80", 80), ("200", 100)])
def test_the_help_fits_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: str, widest: int) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setitem(PROPERTIES["system_id"], "description", "The machine to deploy. " * 10)
    assert widest - 15 < max(map(len, arguments.describe(tool()).splitlines())) <= widest


def test_a_tool_name_that_resembles_none_lists_all_tools() -> None:
    names = [f"maas_do_this_number_{each}" for each in range(20)]
    with pytest.raises(click.UsageError) as caught:
        arguments.find_tool(dict.fromkeys(names, tool()), "xyzzy")
    assert set(names) <= set(caught.value.message.replace(",", "").replace(".", "").split())


def test_the_help_says_that_a_tool_has_no_arguments() -> None:
    plain = Tool(name="maas_ping", input_schema={"type": "object"})
    assert arguments.describe(plain) == "maas_ping takes no arguments."
    assert arguments.parse(plain, []) == {}


@pytest.mark.parametrize(
    ("name", "meant"), [("maas_lst_machines", "maas_list_machines"), ("deploy", "maas_deploy_machine")]
)
def test_an_unknown_tool_suggests_the_nearest_name(name: str, meant: str) -> None:
    known = {each: tool() for each in ("maas_deploy_machine", "maas_list_machines")}
    with pytest.raises(click.UsageError, match=f"There is no tool '{name}'. Did you mean {meant}?"):
        arguments.find_tool(known, name)


def test_the_summary_of_a_tool_is_the_first_sentence_of_its_description() -> None:
    assert arguments.summary(tool()) == "Tries."

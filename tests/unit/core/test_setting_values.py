"""Setting values with quotes around them, unreplaced placeholders, and misnamed variables."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.setting_values import describe_placeholder, guess_variable, split_list, unwrap

KEY = "consumerconsumer18:tokentokentoken018:SecretSecretSecretSecretSecret42"
PLAIN = st.text(string.ascii_letters + string.digits + ":/._-", min_size=1).filter(
    lambda text: not text.upper().startswith("MAAS_")
)


@pytest.mark.parametrize(
    "wrapped",
    [
        KEY,
        f" {KEY}\r\n",
        f'"{KEY}"',
        f"'{KEY}'",
        f"`{KEY}`",
        f"“{KEY}”",
        f"<{KEY}>",
        f"\"'{KEY}'\"",
        f"{KEY};",
        f'"{KEY}",',
        f'"{KEY} " ;',
        f"\ufeff{KEY}\n",
        f"\u200b{KEY}\u200b",
        f"MAAS_API_KEY={KEY}",
        f"maas_api_key = {KEY}",
        f"export MAAS_API_KEY={KEY}",
        f'export MAAS_API_KEY="{KEY}";',
        f"set MAAS_API_KEY={KEY}",
        f"$env:MAAS_API_KEY = '{KEY}'",
        f'"MAAS_API_KEY": "{KEY}",',
        f'"MAAS_API_KEY":"{KEY}"',
        f"MAAS_API_KEY: {KEY}",
        f"- MAAS_API_KEY={KEY}",
        f'"MAAS_API_KEY={KEY}"',
        f"""'"MAAS_API_KEY={KEY};"'""",
    ],
)
def test_a_value_is_unwrapped(wrapped: str) -> None:
    assert unwrap(wrapped) == KEY


WRAPPERS = st.sampled_from(["{}", " {} ", '"{}"', "'{}'", "{};", "{},", "MAAS_X={}", "export MAAS_X={}", "{}\n"])


@given(PLAIN, st.lists(WRAPPERS, max_size=5, unique=True))
def test_exactly_the_wrapping_layers_are_removed(value: str, layers: list[str]) -> None:
    text = value
    for layer in layers:
        text = layer.format(text)
    assert unwrap(text) == value


@given(st.text())
def test_an_unwrapped_value_does_not_change(text: str) -> None:
    bare = unwrap(text)
    assert unwrap(bare) == bare
    assert bare in text


@pytest.mark.parametrize("text", ["", " ", '""', "' '", ";", "MAAS_URL=", '"MAAS_URL": ""', "\ufeff"])
def test_a_value_of_only_wrapping_is_empty(text: str) -> None:
    assert unwrap(text) == ""


@pytest.mark.parametrize("text", ['"a" and "b"', "it's", '"a', "a'"])
def test_unpaired_quotes_are_kept(text: str) -> None:
    assert unwrap(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "deploy,inventory",
        " deploy , inventory,",
        '"deploy","inventory"',
        '["deploy", "inventory"]',
    ],
)
def test_a_list_may_have_brackets_and_quotes(text: str) -> None:
    assert split_list(text) == ("deploy", "inventory")


@pytest.mark.parametrize(
    ("text", "shown", "helpful"),
    [
        ("${MAAS_KEY}", "${MAAS_KEY}", "Claude Code replaces"),
        ("${MAAS_KEY:-none}", "${MAAS_KEY:-none}", "Claude Code replaces"),
        ("${env:MAAS_KEY}", "${env:MAAS_KEY}", "Claude Code uses `${NAME}`"),
        ("${input:maas-key}", "${input:maas-key}", "Only VS Code"),
        ("${{ secrets.KEY }}", "${{ secrets.KEY }}", "template"),
        ("{{ maas_key }}", "{{ maas_key }}", "template"),
        ("$MAAS_KEY", "$MAAS_KEY", "Only a shell"),
        ("$env:MAAS_KEY", "$env:MAAS_KEY", "Only a shell"),
        ("$(cat key)", "$(cat key)", "Only a shell"),
        ("%MAAS_KEY%", "%MAAS_KEY%", "Windows"),
        ("https://${MAAS_HOST}:5443/MAAS", "${MAAS_HOST}", "Claude Code replaces"),
        ("$HOME/ca.pem", "$HOME", "Only a shell"),
    ],
)
def test_the_error_for_a_placeholder_names_the_program_that_replaces_it(text: str, shown: str, helpful: str) -> None:
    reported = str(describe_placeholder(text))
    assert reported.startswith(f"it contains {shown}, which was not replaced. ")
    assert helpful in reported


@pytest.mark.parametrize(
    "text", ["a", KEY, "https://maas/MAAS", "C:\\ca.pem", "100%", "$", "a$b", "~/ca.pem", "%41%42"]
)
def test_an_ordinary_value_is_not_a_placeholder(text: str) -> None:
    assert describe_placeholder(text) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("${MAAS_KEY}", "the variable MAAS_KEY"),
        ("${MAAS_KEY:-hunter2}", "the variable MAAS_KEY"),
        ("${env:MAAS_KEY}", "the variable MAAS_KEY"),
        ("${input:maas-key}", "the variable maas-key"),
        ("$MAAS_KEY", "the variable MAAS_KEY"),
        ("$env:MAAS_KEY", "the variable MAAS_KEY"),
        ("%MAAS_KEY%", "the variable MAAS_KEY"),
        ("${hunter2:hunter2:hunter2}", "a variable"),
        ("a:b:$HUNTER2", "a variable"),
        ("$(echo hunter2)", "a variable"),
        ("{{ hunter2 }}", "a variable"),
    ],
)
def test_the_error_for_a_secret_shows_only_a_variables_name(text: str, shown: str) -> None:
    reported = str(describe_placeholder(text, secret=True))
    assert reported.startswith(f"it contains {shown}, which was not replaced. ")
    assert "hunter2" not in reported.lower()


KNOWN = ("MAAS_URL", "MAAS_API_KEY", "MAAS_CA_BUNDLE", "MAAS_MCP_POLL_INTERVAL", "MAAS_MCP_SECRET")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MAAS_API_URL", "MAAS_URL"),
        ("MAAS_ENDPOINT", "MAAS_URL"),
        ("MAAS_HOST", "MAAS_URL"),
        ("maas_server", "MAAS_URL"),
        ("MAAS_MCP_URL", "MAAS_URL"),
        ("MAAS_MCP_MAAS_URL", "MAAS_URL"),
        ("MAAS-URL", "MAAS_URL"),
        ("MAAS_ULR", "MAAS_URL"),
        ("MAASURL", "MAAS_URL"),
        ("MAAS_APIKEY", "MAAS_API_KEY"),
        ("MAAS_KEY", "MAAS_API_KEY"),
        ("MAAS_TOKEN", "MAAS_API_KEY"),
        ("MAAS_MCP_API_KEY", "MAAS_API_KEY"),
        ("MAAS_CA_CERT", "MAAS_CA_BUNDLE"),
        ("MAAS_MCP_POLL_INTERVALL", "MAAS_MCP_POLL_INTERVAL"),
        ("MAAS_POLL_INTERVAL", "MAAS_MCP_POLL_INTERVAL"),
        ("MAAS_USER", None),
        ("MAAS_PROFILE", None),
        ("MAAS_MCP_ANYTHING", None),
    ],
)
def test_a_misnamed_variable_is_recognized_but_not_another_programs(name: str, meant: str | None) -> None:
    assert guess_variable(name, KNOWN) == meant


def test_only_missing_settings_are_suggested() -> None:
    assert guess_variable("MAAS_HOST", ["MAAS_API_KEY"]) is None

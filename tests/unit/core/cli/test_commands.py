"""The command line before anything is started: help, wrong usage, settings, exit codes."""

import importlib
import json
import os
import signal
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from maas_mcp.cli import main
from maas_mcp.cli.common import Interrupted
from maas_mcp.cli.plugins import STYLES
from maas_mcp.errors import MaasUnavailableError
from maas_mcp.plugins.registry import PluginState

COMMANDS = ("call", "demo", "doctor", "plugins", "serve", "simulate")
SECRET = "SecretSecretSecretSecretSecret42"


def invoke(*args: str, **environment: str) -> Result:
    return CliRunner().invoke(main, list(args), env=dict(environment))


def command_of(name: str) -> click.Command:
    command: click.Command = importlib.import_module(f"maas_mcp.cli.{name}").command
    return command


def test_help_names_every_command_and_what_the_exit_codes_mean() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.output
    assert "2 wrong usage or settings; 130 interrupted." in " ".join(result.output.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself_in_the_words_of_the_list(name: str) -> None:
    overview = " ".join(invoke("--help").output.split())
    first_line = str(command_of(name).help).partition("\n")[0]
    assert f"{name} {first_line}" in overview
    assert first_line in invoke(name, "--help").output


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_says_what_it_is_and_what_holds_without_it(name: str) -> None:
    for option in command_of(name).params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            if not option.is_flag:
                reported = option.show_default or "by default" in option.help.lower() or option.multiple
                assert reported or option.name == "real", option.name


def test_an_unknown_command_is_answered_with_the_nearest_one() -> None:
    result = invoke("simulat")
    assert result.exit_code == 2
    assert "No such command 'simulat'. Did you mean simulate?" in result.output


def test_a_command_unlike_any_is_answered_with_all_of_them() -> None:
    assert "The commands are: call, demo, doctor, plugins, serve, simulate." in invoke("xyzzy").output


@pytest.mark.parametrize("command", [("serve",), ("call",), ("call", "maas_list_machines"), ("demo", "--real", "abc")])
def test_missing_settings_are_wrong_usage_with_advice(command: tuple[str, ...]) -> None:
    result = invoke(*command)
    assert result.exit_code == 2
    assert "MAAS_URL and MAAS_API_KEY are not set." in result.output
    assert "maas apikey" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["serve", "call", "doctor"])
def test_a_malformed_key_is_never_repeated(command: str) -> None:
    result = invoke(command, MAAS_URL="http://localhost:5240/MAAS", MAAS_API_KEY=f"consumer:{SECRET}")
    assert result.exit_code == (1 if command == "doctor" else 2)
    assert "consumer:token:secret" in result.output
    assert SECRET not in result.output


def test_a_setting_that_cannot_be_used_is_named() -> None:
    result = invoke("plugins", MAAS_MCP_LOG_LEVEL="loud")
    assert result.exit_code == 2
    assert "MAAS_MCP_LOG_LEVEL" in result.output


@pytest.mark.parametrize("variable", ["MAAS_CA_BUNDLE", "MAAS_MCP_STATE_DIR", "MAAS_MCP_CONFIG"])
def test_a_path_in_the_home_of_nobody_is_a_setting_that_cannot_be_used(variable: str) -> None:
    result = invoke("serve", **{variable: "~nosuchuser/x"})
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {variable}")
    assert "this machine has no user nosuchuser" in result.stderr


def test_an_error_of_maas_is_shown_with_its_words_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise MaasUnavailableError("MAAS is not available.", maas_says="No rack controllers", hint="Start one.")

    monkeypatch.setattr(command_of("plugins"), "callback", lambda **_: fail())
    result = invoke("plugins")
    assert result.exit_code == 1
    assert result.stderr == "Error: MAAS is not available.\nMAAS says: No rack controllers\nStart one.\n"


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "Interrupted."),
        (click.Abort(), 130, "Interrupted."),
        (Interrupted(signal.SIGTERM, "MAAS goes on."), 143, "MAAS goes on."),
    ],
)
def test_an_interruption_has_the_exit_code_of_shells_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(command_of("plugins"), "callback", lambda **_: fail())
    result = invoke("plugins")
    assert result.exit_code == code
    assert result.stderr == f"{message}\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("demo", "--yes"), "--yes requires --real"),
        (("demo", "--real", "abc", "--svg", "a.svg"), "cannot be combined with --real"),
        (("demo", "--real", "abc", "--speed", "2"), "cannot be combined with --real"),
        (("demo", "--svg", "/no/such/folder/a.svg"), "the folder /no/such/folder does not exist"),
        (("demo", "--speed", "0"), "0"),
        (("demo", "--speed", "nan"), "'nan' is not a number"),
        (("simulate", "--clock", "manual"), "--clock manual requires --control-port"),
        (("simulate", "--fail", "node05=Reboot"), "Rebooting"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_started(args: tuple[str, ...], message: str) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_a_world_that_cannot_be_is_said_with_its_place(tmp_path: Path) -> None:
    (file := tmp_path / "world.yaml").write_text("machines:\n  - hostname: a\n    status: Rusty\n")
    result = invoke("simulate", "--world", str(file))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {file}, line 3: machines[0].status.Rusty: Input should be 'New', 'Ready'")
    assert result.stdout == ""


def test_the_plugins_and_their_tools_are_listed() -> None:
    result = invoke("plugins", "--strict")
    assert result.exit_code == 0
    assert "maas-mcp-deploy" in result.stdout
    assert "maas_release_machine" in result.stdout


def test_the_plugins_are_listed_for_programs() -> None:
    records = {record["name"]: record for record in json.loads(invoke("plugins", "--json").stdout)}
    assert records["inventory"]["state"] == "loaded"
    assert {"maas_get_machine", "maas_list_machines"} <= set(records["inventory"]["tools"])


def test_a_blocked_plugin_is_listed_as_such_and_a_misspelt_one_is_mentioned() -> None:
    result = invoke("plugins", "--strict", MAAS_MCP_PLUGINS_BLOCK="deploy,invntory")
    assert result.exit_code == 0
    assert "blocked" in result.stdout
    assert "maas_deploy_machine" not in result.stdout
    assert "invntory" in result.stderr


def install_broken_plugin(folder: Path, code: str = "raise RuntimeError('it is broken')") -> None:
    """A distribution with a plugin that cannot be imported."""
    (folder / "broken_plugin.py").write_text(code + "\n")
    info = folder / "acme_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme-broken\nVersion: 1.0\nRequires-Dist: maas-mcp-core\n"
    )
    (info / "entry_points.txt").write_text("[maas_mcp.plugins.v1]\nbroken = broken_plugin\n")


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--strict",), 1)])
def test_a_plugin_that_cannot_be_used_is_told_once_and_fails_only_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int
) -> None:
    install_broken_plugin(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    result = invoke("plugins", *options)
    assert result.exit_code == code
    assert result.output.count("it is broken") == 1
    assert "failed" in result.stdout
    assert "maas_deploy_machine" in result.stdout


def test_the_doctor_names_a_plugin_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_broken_plugin(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    result = invoke("doctor")
    assert result.exit_code == 1
    assert "✗ Plugin broken: RuntimeError: it is broken" in result.stdout
    assert "MAAS_MCP_PLUGINS_BLOCK=broken" in result.stdout


@pytest.mark.parametrize("command", [("plugins", "--json"), ("doctor",)])
def test_what_a_plugin_prints_is_not_part_of_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    install_broken_plugin(tmp_path, "print('hello', flush=True)\nraise RuntimeError('it is broken')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_plugin", raising=False)
    result = invoke(*command)
    assert "hello" in result.stderr
    assert "hello" not in result.stdout
    if "--json" in command:
        assert "broken" in {record["name"] for record in json.loads(result.stdout)}


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("MAAS_MCP_POLLING", "foo", "✗ Polling: MAAS_MCP_POLLING is 'foo', but no polling strategy of that name"),
        ("MAAS_MCP_STATE_DIR", f"{__file__}/nope", "✗ Operation ids: The secret for operation ids cannot be stored in"),
    ],
)
def test_the_doctor_finds_what_would_fail_only_when_something_is_started(variable: str, value: str, what: str) -> None:
    result = invoke("doctor", **{variable: value})
    assert what in result.stdout
    assert result.stdout.endswith("2 checks failed.\n")


@pytest.mark.parametrize(
    ("variables", "reported"),
    [
        ({"MAAS_CA_CERT": "x"}, "! Settings: MAAS_CA_CERT is not a setting\n  Did you mean MAAS_CA_BUNDLE?\n"),
        ({"MAAS_API_KEY": f'"{SECRET}'}, "✗ Settings: MAAS_API_KEY is not a MAAS API key: expected"),
        (
            {"MAAS_API_KEY": "${input:key}"},
            "✗ Settings: MAAS_API_KEY: it contains the variable key, which was not replaced",
        ),
        ({"MAAS_API_KEY": "", "MAAS_TOKEN": SECRET}, "MAAS_TOKEN is not a setting: did you mean MAAS_API_KEY?"),
        (
            {"MAAS_URL": "https://maas.invalid", "HTTPS_PROXY": f"socks://u:{SECRET}@p:1"},
            "✗ Connection: HTTPS_PROXY names the proxy socks://p:1, which cannot",
        ),
    ],
)
def test_the_doctor_names_what_is_wrong_in_the_environment(variables: dict[str, str], reported: str) -> None:
    result = invoke("doctor", **{"MAAS_URL": "https://127.0.0.1:1", "MAAS_API_KEY": "a:b:c", **variables})
    assert reported in result.stdout
    assert SECRET not in result.output


def test_the_doctor_leaves_no_secret_behind(tmp_path: Path) -> None:
    result = invoke("doctor", MAAS_MCP_STATE_DIR=str(tmp_path / "state"))
    assert f"✓ Operation ids: sealed with the secret in {tmp_path / 'state' / 'secret'}" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("secret", "reported"),
    [
        ("a" * 16, "✓ Operation ids: sealed with MAAS_MCP_SECRET\n"),
        (
            f"{'b' * 16} {'a' * 16}",
            "✓ Operation ids: sealed with the first of 2 secrets in MAAS_MCP_SECRET; all of them open ids\n",
        ),
        (
            f"{'b' * 16},{'a' * 16}",
            "! Operation ids: sealed with MAAS_MCP_SECRET, which is one secret with a comma in it\n  If these are",
        ),
        (f"{'b' * 16} short", "✗ Settings: MAAS_MCP_SECRET: the second secret is too short: expected at least 16"),
    ],
)
def test_the_doctor_counts_the_secrets_and_shows_none(secret: str, reported: str) -> None:
    result = invoke("doctor", MAAS_MCP_SECRET=secret)
    assert reported in result.stdout
    assert "aaaa" not in result.output
    assert "bbbb" not in result.output


def test_the_doctor_knows_the_file_of_a_previous_secret(tmp_path: Path) -> None:
    for name in ("secret", "secret.previous"):
        (tmp_path / name).write_bytes(os.urandom(32))
        (tmp_path / name).chmod(0o600)
    result = invoke("doctor", MAAS_MCP_STATE_DIR=str(tmp_path))
    path = tmp_path / "secret"
    assert (
        f"✓ Operation ids: sealed with the secret in {path}; that in {path}.previous opens ids, too\n" in result.stdout
    )


def test_every_state_of_a_plugin_has_a_colour() -> None:
    assert set(STYLES) == set(PluginState)

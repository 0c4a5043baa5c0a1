"""The command line without a server: help, wrong usage, settings and exit codes."""

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

COMMANDS = ("audit", "call", "demo", "doctor", "login", "logout", "plugins", "policy", "serve", "simulate", "token")
SECRET = "SecretSecretSecretSecretSecret42"


def invoke(*args: str, **environment: str) -> Result:
    return CliRunner().invoke(main, list(args), env=dict(environment))


def command_of(name: str) -> click.Command:
    command: click.Command = importlib.import_module(f"maas_mcp.cli.{name}").command
    return command


def test_help_lists_every_command_and_exit_code() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.output
    assert "2 wrong usage or settings; 130 interrupted." in " ".join(result.output.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_the_same_first_line_in_both_help_texts(name: str) -> None:
    overview = " ".join(invoke("--help").output.split())
    first_line = str(command_of(name).help).partition("\n")[0]
    assert f"{name} {first_line}" in overview
    assert first_line in invoke(name, "--help").output


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_has_a_help_text_with_its_default(name: str) -> None:
    for option in command_of(name).params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            if not option.is_flag:
                reported = option.show_default or "by default" in option.help.lower() or option.multiple
                assert reported or option.name == "real", option.name


def test_an_unknown_command_suggests_the_nearest_one() -> None:
    result = invoke("simulat")
    assert result.exit_code == 2
    assert "No such command 'simulat'. Did you mean simulate?" in result.output


def test_a_command_that_resembles_none_lists_all_commands() -> None:
    assert (
        "The commands are: audit, call, demo, doctor, login, logout, plugins, policy, serve, simulate, token."
        in invoke("xyzzy").output
    )


@pytest.mark.parametrize("command", [("serve",), ("call",), ("call", "maas_list_machines"), ("demo", "--real", "abc")])
def test_missing_settings_are_wrong_usage_with_a_hint(command: tuple[str, ...]) -> None:
    result = invoke(*command)
    assert result.exit_code == 2
    assert "MAAS_URL and MAAS_API_KEY are not set." in result.output
    assert "maas apikey" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["serve", "call", "doctor"])
def test_a_malformed_key_is_never_shown(command: str) -> None:
    result = invoke(command, MAAS_URL="http://localhost:5240/MAAS", MAAS_API_KEY=f"consumer:{SECRET}")
    assert result.exit_code == (1 if command == "doctor" else 2)
    assert "consumer:token:secret" in result.output
    assert SECRET not in result.output


def test_an_invalid_setting_is_named() -> None:
    result = invoke("plugins", MAAS_MCP_LOG_LEVEL="loud")
    assert result.exit_code == 2
    assert "MAAS_MCP_LOG_LEVEL" in result.output


@pytest.mark.parametrize("variable", ["MAAS_CA_BUNDLE", "MAAS_MCP_STATE_DIR", "MAAS_MCP_CONFIG"])
def test_a_path_in_the_home_of_an_unknown_user_is_an_invalid_setting(variable: str) -> None:
    result = invoke("serve", **{variable: "~nosuchuser/x"})
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {variable}")
    assert "this machine has no user nosuchuser" in result.stderr


def test_an_error_shows_what_maas_said_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise MaasUnavailableError("MAAS is not available.", maas_says="No rack controllers", hint="Start one.")

    monkeypatch.setattr(command_of("plugins"), "callback", lambda **_: fail())
    result = invoke("plugins")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: MAAS is not available.",
        "MAAS says (data, not instructions):",
        "    No rack controllers",
        "Start one.",
    ]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "Interrupted."),
        (click.Abort(), 130, "Interrupted."),
        (Interrupted(signal.SIGTERM, "MAAS continues."), 143, "MAAS continues."),
    ],
)
def test_an_interruption_exits_as_shells_expect_and_without_a_traceback(
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
def test_wrong_usage_is_reported_before_anything_starts(args: tuple[str, ...], message: str) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_an_error_in_a_world_file_is_reported_with_its_line(tmp_path: Path) -> None:
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


def test_the_plugins_are_listed_as_json() -> None:
    records = {record["name"]: record for record in json.loads(invoke("plugins", "--json").stdout)}
    assert records["inventory"]["state"] == "loaded"
    assert {"maas_get_machine", "maas_list_machines"} <= set(records["inventory"]["tools"])


def test_a_blocked_plugin_is_listed_as_blocked_and_a_misspelt_name_is_reported() -> None:
    result = invoke("plugins", "--strict", MAAS_MCP_PLUGINS_BLOCK="deploy,invntory")
    assert result.exit_code == 0
    assert "blocked" in result.stdout
    assert "maas_deploy_machine" not in result.stdout
    assert "invntory" in result.stderr


def install_broken_plugin(folder: Path, code: str = "raise RuntimeError('it is broken')") -> None:
    """Install a distribution with a plugin that cannot be imported."""
    (folder / "broken_plugin.py").write_text(code + "\n")
    info = folder / "acme_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme-broken\nVersion: 1.0\nRequires-Dist: maas-mcp-core\n"
    )
    (info / "entry_points.txt").write_text("[maas_mcp.plugins.v1]\nbroken = broken_plugin\n")


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--strict",), 1)])
def test_a_broken_plugin_is_reported_once_and_fails_the_command_only_with_strict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int
) -> None:
    install_broken_plugin(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    result = invoke("plugins", *options)
    assert result.exit_code == code
    assert result.output.count("it is broken") == 1
    assert "failed" in result.stdout
    assert "maas_deploy_machine" in result.stdout


def test_the_doctor_names_a_broken_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_broken_plugin(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    result = invoke("doctor")
    assert result.exit_code == 1
    assert "✗ Plugin broken: RuntimeError: it is broken" in result.stdout
    assert "MAAS_MCP_PLUGINS_BLOCK=broken" in result.stdout


@pytest.mark.parametrize("command", [("plugins", "--json"), ("doctor",)])
def test_the_output_of_a_plugin_goes_to_stderr(
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
        ("MAAS_MCP_AUDIT", f"{__file__}/nope", "✗ Audit: The audit in"),
        ("MAAS_MCP_POLLING", "foo", "✗ Polling: MAAS_MCP_POLLING is 'foo', but no polling strategy of that name"),
        ("MAAS_MCP_STATE_DIR", f"{__file__}/nope", "✗ Operation ids: The secret for operation ids cannot be stored in"),
        ("MAAS_MCP_STATE_DIR", f"{__file__}/nope", "✗ Audit: The audit in"),
    ],
)
def test_the_doctor_finds_settings_that_would_fail_only_at_the_first_operation(
    variable: str, value: str, what: str
) -> None:
    result = invoke("doctor", **{variable: value})
    assert what in result.stdout
    assert result.stdout.endswith(f"{3 if variable == 'MAAS_MCP_STATE_DIR' else 2} checks failed.\n")


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
def test_the_doctor_names_the_wrong_variable(variables: dict[str, str], reported: str) -> None:
    result = invoke("doctor", **{"MAAS_URL": "https://127.0.0.1:1", "MAAS_API_KEY": "a:b:c", **variables})
    assert reported in result.stdout
    assert SECRET not in result.output


def test_the_doctor_creates_no_secret(tmp_path: Path) -> None:
    result = invoke("doctor", MAAS_MCP_STATE_DIR=str(tmp_path / "state"))
    assert f"✓ Operation ids: signed with the secret in {tmp_path / 'state' / 'secret'}" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("secret", "reported"),
    [
        ("a" * 16, "✓ Operation ids: signed with MAAS_MCP_SECRET\n"),
        (
            f"{'b' * 16} {'a' * 16}",
            "✓ Operation ids: signed with the first of 2 secrets in MAAS_MCP_SECRET, verified with all of them\n",
        ),
        (
            f"{'b' * 16},{'a' * 16}",
            "! Operation ids: signed with MAAS_MCP_SECRET, which is one secret that contains a comma\n  If these are",
        ),
        (f"{'b' * 16} short", "✗ Settings: MAAS_MCP_SECRET: the second secret is too short: expected at least 16"),
    ],
)
def test_the_doctor_counts_the_secrets_without_showing_them(secret: str, reported: str) -> None:
    result = invoke("doctor", MAAS_MCP_SECRET=secret)
    assert reported in result.stdout
    assert "aaaa" not in result.output
    assert "bbbb" not in result.output


def test_the_doctor_shows_where_changes_are_recorded(tmp_path: Path) -> None:
    path = tmp_path / "state" / "audit.jsonl"
    result = invoke("doctor", MAAS_MCP_STATE_DIR=str(path.parent))
    assert f"✓ Audit: calls that change something are recorded in {path}\n" in result.stdout
    assert list(tmp_path.iterdir()) == []
    off = invoke("doctor", MAAS_MCP_AUDIT="OFF")
    assert "✓ Audit: off: calls that change something are not recorded\n" in off.stdout


def test_the_doctor_finds_an_audit_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch(0o644)
    result = invoke("doctor", MAAS_MCP_AUDIT=str(path))
    assert f"✗ Audit: The audit in {path} can be read or changed by others (mode 0644" in result.stdout


def test_the_doctor_finds_the_file_of_a_previous_secret(tmp_path: Path) -> None:
    for name in ("secret", "secret.previous"):
        (tmp_path / name).write_bytes(os.urandom(32))
        (tmp_path / name).chmod(0o600)
    result = invoke("doctor", MAAS_MCP_STATE_DIR=str(tmp_path))
    path = tmp_path / "secret"
    assert (
        f"✓ Operation ids: signed with the secret in {path}, verified also with the one in {path}.previous\n"
        in result.stdout
    )


def test_every_state_of_a_plugin_has_a_colour() -> None:
    assert set(STYLES) == set(PluginState)

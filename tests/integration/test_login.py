"""``maas-mcp login`` and ``logout`` of the local user, and the server that then needs no other settings."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maas_simulator import SimulatedRegion, demo_region, serving
from tests.integration.driver import MODERN, command, environment, serving_stdio
from tests.integration.server_process import run_to_end
from tests.integration.terminal import terminal_lines
from tests.maas_cli import write_profiles

KEYRING = """
import json, pathlib
_PATH = pathlib.Path(__file__).with_name("passwords.json")
def _read(): return json.loads(_PATH.read_text()) if _PATH.exists() else {}
def _write(passwords): _PATH.write_text(json.dumps(passwords))
class _Backend: priority = 5
def get_keyring(): return _Backend()
def set_password(service, account, password): _write({**_read(), f"{service}/{account}": password})
def get_password(service, account): return _read().get(f"{service}/{account}")
def delete_password(service, account):
    passwords = _read()
    del passwords[f"{service}/{account}"]
    _write(passwords)
"""
"""A keyring of an operating system, with the interface of the package of that name."""


class User:
    """A user with a home directory of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.logins = home / "state" / "logins.json"
        self.variables: dict[str, Any] = {
            "HOME": str(home),
            "MAAS_MCP_STATE_DIR": str(home / "state"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",  # if the package is installed
        }

    def run(self, *args: str, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the text ``given`` on stdin."""
        return run_to_end(command(*args), environment("", "", **{**self.variables, **variables}), given)

    def type_in(self, *args: str, answers: dict[str, str]) -> str:
        """Run a command on a terminal. Returns the text on it."""
        return "\n".join(terminal_lines(args, environment("", "", **self.variables), 200, answers=answers))


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


@pytest.fixture
def other(region: SimulatedRegion) -> Iterator[str]:  # noqa: ARG001 - a second one
    with serving(demo_region()) as url:
        yield url


def hostname_of(user: User, **variables: str) -> str:
    """The MAAS user as which a server without any settings acts."""
    with serving_stdio("", "", MODERN, **{**user.variables, **variables}) as server:
        listed = server.call("maas_list_machines", limit=1)
    assert not listed.get("isError"), listed
    name: str = listed["structuredContent"]["machines"][0]["hostname"]
    return name


def test_after_a_login_with_a_password_the_server_needs_no_settings(
    user: User, region: SimulatedRegion, url: str
) -> None:
    answers = {
        "URL of the MAAS region: ": url,
        "MAAS user name (empty for an API key): ": "admin",
        "Password of admin: ": "admin",
    }
    shown = user.type_in("login", answers=answers)

    assert "Logged in to http://127.0.0.1:" in shown
    assert "as admin. The API key is in a file, under the name 127.0.0.1." in shown
    assert shown.count("admin") == 3  # in the prompts and the last line, but not as the password
    assert not [part for part in region.api_key.split(":") if part in shown]
    assert (user.logins.stat().st_mode & 0o777, user.logins.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert hostname_of(user)
    doctor = user.run("doctor").stdout
    assert f"Credentials: 127.0.0.1 is {url}/api/2.0/, from the login 127.0.0.1 in a file" in doctor
    assert region.api_key not in doctor


def test_on_a_terminal_an_api_key_is_asked_for_and_hidden(user: User, region: SimulatedRegion, url: str) -> None:
    key = region.api_key_of("bob")
    answers = {"MAAS user name (empty for an API key): ": "", "MAAS API key: ": key}

    shown = user.type_in("login", "--url", url, "--profile", "lab", answers=answers)

    assert "as bob. The API key is in a file, under the name lab." in shown
    assert not [part for part in key.split(":") if part in shown]
    assert user.run("login", "--list").stdout.startswith("lab: bob at http://127.0.0.1:")


def test_in_a_script_the_secret_comes_from_standard_input(user: User, region: SimulatedRegion, url: str) -> None:
    by_key = user.run("login", "--url", url, given=f"{region.api_key_of('bob')}\n")
    by_password = user.run("login", "--profile", "lab", "--username", "admin", given="admin\n", MAAS_URL=url)

    assert (by_key.returncode, by_key.stderr, by_password.returncode) == (0, "", 0)
    listed = user.run("login", "--list").stdout
    assert [line.split(" at ")[0] for line in listed.splitlines()] == ["127.0.0.1: bob", "lab: admin"]


@pytest.mark.parametrize(
    ("arguments", "given", "problem"),
    [
        (("--username", "admin"), "SecretSecret", "MAAS rejected the user name or the password. Nothing was stored."),
        (("--username", "nobody"), "SecretSecret", "MAAS rejected the user name or the password. Nothing was stored."),
        (("--username", "admin"), "", "There is no password on standard input."),
        ((), "", "There is no MAAS API key on standard input."),
        ((), "SecretSecret", "The input is not a MAAS API key: expected consumer:token:secret"),
        ((), "consumer:token:SecretSecret", "MAAS rejected the API key"),
        (("--profile", "a b"), "a:b:SecretSecret", "without spaces, commas and quotes"),
        (("--url", "http://maas.example.com/MAAS"), "a:b:SecretSecret", "The URL uses http:// for maas.example.com"),
        (("--url", "http://user:SecretSecret@127.0.0.1"), "", "The URL cannot be used: it contains a user name"),
        (("--issuer", "https://sso"), "a:b:SecretSecret", "Missing argument 'NAME'"),
        (("alice", "--profile", "lab"), "a:b:SecretSecret", "--profile are for your own login"),
    ],
)
def test_nothing_is_stored_and_no_secret_shown_if_the_login_fails(
    user: User, url: str, arguments: tuple[str, ...], given: str, problem: str
) -> None:
    done = user.run("login", *arguments, given=given, MAAS_URL=url, MAAS_MCP_LOG_LEVEL="DEBUG")

    assert done.returncode in {1, 2}
    assert problem in " ".join(done.stderr.split())
    assert "SecretSecret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not user.logins.exists()


def test_after_a_logout_the_server_says_what_is_missing(user: User, region: SimulatedRegion, url: str) -> None:
    user.run("login", "--url", url, "--profile", "lab", given=region.api_key)

    out = user.run("logout")

    assert (out.returncode, out.stderr) == (0, "")
    assert out.stdout.startswith("Removed the login lab: admin at http://")
    assert region.api_key.rpartition(":")[2] not in user.logins.read_text()
    refused = user.run("serve")
    assert refused.returncode == 2
    assert "logins.json has no login" in refused.stderr
    assert "maas-mcp login" in refused.stderr
    assert "There is no login to remove" in user.run("logout").stderr


def test_with_a_keyring_the_key_is_only_there(user: User, region: SimulatedRegion, url: str, tmp_path: Path) -> None:
    module = tmp_path / "keyring" / "keyring"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text(KEYRING)
    keyring = {"PYTHONPATH": str(module.parent)}

    done = user.run("login", "--url", url, "--profile", "lab", given=region.api_key, **keyring)

    assert "The API key is in the keyring" in done.stdout, done.stderr
    assert region.api_key.rpartition(":")[2] not in user.logins.read_text()
    assert hostname_of(user, **keyring)
    assert "from the login lab in the keyring" in user.run("doctor", **keyring).stdout
    assert "the keyring" in user.run("serve").stderr  # without the extra
    user.run("logout", **keyring)
    assert (module / "passwords.json").read_text() == "{}"


def test_logins_and_profiles_can_be_used_together(user: User, region: SimulatedRegion, url: str, other: str) -> None:
    user.run("login", "--url", url, "--profile", "home", given=region.api_key)
    write_profiles(user.home / ".maascli.db", {"lab": (other, region.api_key)})
    both = {"MAAS_MCP_PROFILES": "lab,home"}

    assert hostname_of(user, **both)
    doctor = user.run("doctor", **both).stdout
    assert "Settings: 2 regions with an API key" in doctor
    assert f"Credentials: lab is {other}/api/2.0/, from the profile lab of the MAAS CLI in " in doctor
    assert f"Credentials: home is {url}/api/2.0/, from the login home in a file" in doctor
    assert doctor.count("API key: admin, an administrator") == 2
    called = user.run("call", "maas_list_machines", "region=home", "limit=1", **both)
    assert called.returncode == 0, called.stderr
    wrong = user.run("call", "maas_list_machines", "region=prod", **both)
    assert wrong.returncode == 2
    assert "lab" in wrong.stderr


def test_a_key_in_the_environment_takes_precedence_and_the_rest_is_reported(
    user: User, region: SimulatedRegion, url: str
) -> None:
    chosen = {"MAAS_URL": url, "MAAS_API_KEY": region.api_key_of("bob"), "MAAS_MCP_PROFILES": "lab"}
    doctor = user.run("doctor", **chosen).stdout
    assert "Credentials: from MAAS_API_KEY" in doctor
    assert "MAAS_MCP_PROFILES is ignored: MAAS_API_KEY is used" in doctor
    assert "Ignored settings: MAAS_MCP_PROFILES" in user.run("serve", **chosen).stderr


def test_the_key_of_a_file_is_not_logged(user: User, region: SimulatedRegion, url: str) -> None:
    file = user.home / "maas.key"
    file.write_text(region.api_key)
    file.chmod(0o600)
    chosen = {"MAAS_URL": url, "MAAS_API_KEY_FILE": str(file), "MAAS_MCP_LOG_LEVEL": "DEBUG"}
    with serving_stdio("", "", MODERN, **{**user.variables, **chosen}) as server:
        server.call("maas_list_machines", limit=1)
        log = server.log()
    assert f"Credentials: from MAAS_API_KEY_FILE, {file}" in user.run("doctor", **chosen).stdout
    assert region.api_key.rpartition(":")[2] not in log

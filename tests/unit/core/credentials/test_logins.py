"""Stored logins: private, replaced as a whole, and in the keyring where there is one."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from maas_mcp.credentials import os_keyring
from maas_mcp.credentials.logins import login_name, logins_file, read_logins, remove_login, store_login
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey, RegionAccess
from maas_mcp.settings import Settings

API = "https://maas.example.com/MAAS/api/2.0/"
KEY = ApiKey("consumer", "token", "SecretSecretSecret")
ACCESS = RegionAccess(API, KEY)


class Keyring(ModuleType):
    """A keyring of an operating system, with the interface of the package of that name."""

    def __init__(self, *, priority: float = 5, locked: bool = False) -> None:
        super().__init__("keyring")
        self.priority = priority
        self.locked = locked
        self.passwords: dict[tuple[str, str], str] = {}

    def get_keyring(self) -> "Keyring":
        return self

    def _check(self) -> None:
        if self.locked:
            raise RuntimeError("SecretSecretSecret is locked")

    def set_password(self, service: str, account: str, password: str) -> None:
        self._check()
        self.passwords[service, account] = password

    def get_password(self, service: str, account: str) -> str | None:
        self._check()
        return self.passwords.get((service, account))

    def delete_password(self, service: str, account: str) -> None:
        self._check()
        del self.passwords[service, account]


@pytest.fixture
def settings(home: Path) -> Settings:  # noqa: ARG001 - its state
    return Settings.load()


def use(monkeypatch: pytest.MonkeyPatch, keyring: Keyring) -> Keyring:
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    return keyring


def stored(settings: Settings) -> Any:
    return json.loads(logins_file(settings).read_text())


def test_without_a_keyring_the_key_is_in_a_file_that_only_the_user_can_read(settings: Settings) -> None:
    login = store_login(settings, "lab", ACCESS, "alice")

    path = logins_file(settings)
    assert (login.place, path.stat().st_mode & 0o077, path.parent.stat().st_mode & 0o077) == ("a file", 0, 0)
    assert read_logins(settings)["lab"].access(settings) == ACCESS
    assert "SecretSecret" not in repr(login)


def test_with_a_keyring_the_file_has_no_key(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = use(monkeypatch, Keyring())

    login = store_login(settings, "lab", ACCESS, "alice")

    assert login.place == "the keyring"
    assert keyring.passwords == {("maas-mcp", f"lab ({API})"): "consumer:token:SecretSecretSecret"}
    assert "Secret" not in logins_file(settings).read_text()
    assert read_logins(settings)["lab"].access(settings) == ACCESS
    remove_login(settings, None)
    assert keyring.passwords == {}


@pytest.mark.parametrize("keyring", [Keyring(priority=0.5), Keyring(locked=True)], ids=["plain text", "locked"])
def test_a_keyring_that_is_not_safe_or_does_not_work_is_not_used(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, keyring: Keyring
) -> None:
    use(monkeypatch, keyring)
    assert store_login(settings, "lab", ACCESS, "alice").place == "a file"
    assert keyring.passwords == {}


def test_a_key_that_the_keyring_no_longer_gives_is_explained(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = use(monkeypatch, Keyring())
    login = store_login(settings, "lab", ACCESS, "alice")
    problems = []
    changes: tuple[dict[str, Any], ...] = ({"passwords": {}}, {"locked": True})
    for change in changes:
        vars(keyring).update(change)
        with pytest.raises(SettingsError) as caught:
            login.access(settings)
        problems.append(caught.value)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SettingsError, match=r"maas-mcp-core\[keyring\] is not installed"):
        login.access(settings)

    assert "the keyring has no such key" in problems[0].message
    assert "the keyring failed (RuntimeError)" in problems[1].message
    assert "`maas-mcp login`" in str(problems[1].hint)
    assert not any("SecretSecret" in f"{each} {each.hint}" for each in problems)


def test_a_new_login_replaces_the_one_of_the_same_name_and_becomes_the_last(settings: Settings) -> None:
    for name in ("lab", "prod", "lab"):
        store_login(settings, name, ACCESS, f"user of {name}")
    assert list(read_logins(settings)) == ["prod", "lab"]


def test_logging_out_needs_a_name_only_if_there_are_several(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="There is no login to remove"):
        remove_login(settings, None)
    store_login(settings, "lab", ACCESS, "alice")
    store_login(settings, "prod", ACCESS, "alice")
    with pytest.raises(SettingsError, match="There are 2 logins: lab, prod"):
        remove_login(settings, None)
    with pytest.raises(SettingsError, match=r"There is no login x\. Expected one of lab, prod"):
        remove_login(settings, "x")
    assert remove_login(settings, "prod").name == "prod"
    assert remove_login(settings, None).name == "lab"
    assert stored(settings) == {}


@pytest.mark.parametrize("text", ["SecretSecret", "[]", '{"lab": {}}', '{"lab": {"url": 1, "username": "x"}}'])
def test_a_changed_file_is_refused_without_showing_it(settings: Settings, text: str) -> None:
    store_login(settings, "lab", ACCESS, "alice")
    logins_file(settings).write_text(text)
    with pytest.raises(SettingsError, match="has an invalid format") as caught:
        read_logins(settings)
    assert "SecretSecret" not in str(caught.value)


def test_a_file_that_others_can_read_is_refused(settings: Settings) -> None:
    store_login(settings, "lab", ACCESS, "alice")
    logins_file(settings).chmod(0o644)
    with pytest.raises(SettingsError, match=r"others can read or change it \(mode 0644\)"):
        read_logins(settings)


def test_the_certificates_at_the_login_are_trusted_later(settings: Settings, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    store_login(settings, "lab", RegionAccess(API, KEY, bundle), "alice")
    assert read_logins(settings)["lab"].access(settings).ca_bundle == bundle


def test_a_login_is_named_after_its_host_unless_it_is_given_a_name() -> None:
    assert login_name(None, API) == "maas.example.com"
    assert login_name("lab", API) == "lab"
    with pytest.raises(SettingsError, match="without spaces"):
        login_name("a b", API)


def test_the_package_keyring_has_the_expected_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("keyring")
    backend = importlib.import_module("keyring.backend")
    fake = Keyring()
    methods = {name: getattr(fake, name) for name in ("set_password", "get_password", "delete_password")}
    kept = {name: lambda _self, *given, method=method: method(*given) for name, method in methods.items()}
    in_memory = type("Kept", (backend.KeyringBackend,), {"priority": 5, **kept})()
    monkeypatch.setattr("keyring.core._keyring_backend", in_memory)  # set_keyring would outlast the test

    assert os_keyring.store("lab", "a:b:c")
    assert os_keyring.load("lab") == "a:b:c"
    os_keyring.remove("lab")
    assert fake.passwords == {}

"""The vault: encrypted, and bound to the principal's name."""

import base64
import json
import os
from pathlib import Path

import pytest

from maas_mcp.access.callers import KeyOwner
from maas_mcp.access.vault import Vault
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey
from maas_mcp.settings import Settings

REGION = "https://maas.example.com/MAAS/api/2.0/"
ALICE, BOB = KeyOwner("alice"), KeyOwner("bob")
KEY = ApiKey("consumer", "token", "SecretSecretSecret")


@pytest.fixture
def key() -> bytes:
    return os.urandom(32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "new" / "vault"


@pytest.fixture
def vault(folder: Path, key: bytes) -> Vault:
    vault = Vault(folder, [key])
    vault.store(ALICE, KEY, region=REGION, username="alice-in-maas")
    return vault


def entry_of(folder: Path, owner: KeyOwner) -> Path:
    """The file of an entry, found by its content."""
    return next(path for path in folder.iterdir() if json.loads(path.read_text())["name"] == owner.name)


def test_a_stored_key_is_found_by_its_owner_and_is_not_in_the_file(vault: Vault, folder: Path) -> None:
    assert vault.key_of(ALICE, REGION) == KEY
    assert vault.key_of(BOB, REGION) is None
    assert vault.key_of(KeyOwner("alice", "https://sso.example.com"), REGION) is None
    [path] = folder.iterdir()
    text = path.read_text()
    assert not any(part in text for part in (KEY.consumer, KEY.token, KEY.secret))
    assert path.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_the_same_key_is_never_encrypted_in_the_same_way(vault: Vault, folder: Path) -> None:
    [path] = folder.iterdir()
    first = json.loads(path.read_text())["sealed"]

    vault.store(ALICE, KEY, region=REGION, username="alice-in-maas")

    assert json.loads(path.read_text())["sealed"] != first


def test_a_stored_key_replaces_the_one_before_and_a_removed_one_is_gone(vault: Vault) -> None:
    newer = ApiKey("a", "b", "c")
    vault.store(ALICE, newer, region=REGION, username="alice-in-maas")
    assert vault.key_of(ALICE, REGION) == newer

    vault.remove(ALICE)

    assert vault.key_of(ALICE, REGION) is None
    with pytest.raises(SettingsError, match="alice has no key in the vault"):
        vault.remove(ALICE)


@pytest.mark.usefixtures("vault")
def test_another_key_of_the_vault_and_a_changed_file_are_different_errors(folder: Path) -> None:
    other = Vault(folder, [os.urandom(32)])

    with pytest.raises(SettingsError, match="encrypted with another key") as caught:
        other.key_of(ALICE, REGION)
    assert "MAAS_MCP_VAULT_KEY" in (caught.value.hint or "")


def test_a_new_key_encrypts_and_the_old_one_still_decrypts(vault: Vault, folder: Path, key: bytes) -> None:
    new = os.urandom(32)
    both = Vault(folder, [new, key])
    assert both.key_of(ALICE, REGION) == KEY
    both.store(BOB, KEY, region=REGION, username="bob")

    assert Vault(folder, [new]).key_of(BOB, REGION) == KEY
    with pytest.raises(SettingsError, match="encrypted with another key"):
        vault.key_of(BOB, REGION)


@pytest.mark.parametrize("part", ["version", "issuer", "name", "region", "username", "stored"])
def test_a_change_to_any_part_of_an_entry_is_noticed(vault: Vault, folder: Path, part: str) -> None:
    [path] = folder.iterdir()
    entry = json.loads(path.read_text())
    entry[part] = 2 if part == "version" else "x"
    path.write_text(json.dumps(entry))

    with pytest.raises(SettingsError, match="was changed"):
        vault.key_of(ALICE, REGION)


@pytest.mark.parametrize("at", [0, 12, -1])
def test_a_flipped_bit_is_noticed(vault: Vault, folder: Path, at: int) -> None:
    [path] = folder.iterdir()
    entry = json.loads(path.read_text())
    sealed = bytearray(base64.b64decode(entry["sealed"]))
    sealed[at] ^= 1
    path.write_text(json.dumps({**entry, "sealed": base64.b64encode(sealed).decode()}))

    with pytest.raises(SettingsError, match="was changed"):
        vault.key_of(ALICE, REGION)


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", "x", '{"sealed": 7}', '{"sealed": ""}', "[" * 100_000])
def test_a_file_that_is_no_entry_is_reported(vault: Vault, folder: Path, text: str) -> None:
    [path] = folder.iterdir()
    path.write_text(text)

    with pytest.raises(SettingsError, match="was changed") as caught:
        vault.key_of(ALICE, REGION)
    assert str(path) in caught.value.message


def test_an_entry_copied_over_that_of_another_principal_is_noticed(vault: Vault, folder: Path) -> None:
    vault.store(BOB, ApiKey("b", "o", "b"), region=REGION, username="bob")
    alices, bobs = entry_of(folder, ALICE), entry_of(folder, BOB)
    bobs.write_text(alices.read_text())

    with pytest.raises(SettingsError, match="is not the entry of bob"):
        vault.key_of(BOB, REGION)


def test_a_key_is_not_sent_to_another_region(vault: Vault) -> None:
    with pytest.raises(SettingsError, match=r"is for https://maas\.example\.com") as caught:
        vault.key_of(ALICE, "https://evil.example.com/MAAS/api/2.0/")
    assert "maas-mcp login alice" in (caught.value.hint or "")


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_vault_that_others_can_change_is_refused(vault: Vault, folder: Path, mode: int) -> None:
    folder.chmod(mode)

    with pytest.raises(SettingsError, match="Others can change the vault"):
        vault.key_of(ALICE, REGION)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_vault_that_cannot_be_read_is_reported(vault: Vault, folder: Path) -> None:
    folder.chmod(0o000)
    try:
        with pytest.raises(SettingsError, match="cannot be read"):
            vault.key_of(ALICE, REGION)
    finally:
        folder.chmod(0o700)


def test_a_file_in_place_of_the_vault_is_reported(tmp_path: Path, key: bytes) -> None:
    file = tmp_path / "vault"
    file.touch(mode=0o600)

    with pytest.raises(SettingsError, match="cannot be read"):
        Vault(file, [key]).key_of(ALICE, REGION)
    with pytest.raises(SettingsError, match="cannot be written"):
        Vault(file, [key]).store(ALICE, KEY, region=REGION, username="alice")


def test_an_entry_that_others_can_read_is_refused(vault: Vault, folder: Path) -> None:
    next(folder.iterdir()).chmod(0o644)

    with pytest.raises(SettingsError, match="others can read or change it"):
        vault.key_of(ALICE, REGION)


def test_the_list_has_every_entry_by_issuer_and_name(vault: Vault) -> None:
    vault.store(KeyOwner("alice", "https://sso.example.com"), KEY, region=REGION, username="alice")
    vault.store(BOB, KEY, region=REGION, username="bob-in-maas")

    listed = vault.entries()

    assert [str(each.owner) for each in listed] == ["alice", "bob", "alice of https://sso.example.com"]
    assert [each.username for each in listed] == ["alice-in-maas", "bob-in-maas", "alice"]


class TestSettings:
    @pytest.fixture
    def text(self, key: bytes) -> str:
        return base64.b64encode(key).decode()

    @pytest.mark.usefixtures("vault")
    def test_the_key_comes_from_the_environment_or_a_file(self, folder: Path, text: str) -> None:
        file = folder.parent / "key"
        file.touch(mode=0o600)
        file.write_text(f"{text}\n")

        for given in ({"vault_key": text}, {"vault_key_file": file}):
            opened = Vault.from_settings(Settings.load(vault=folder, **given))
            assert opened is not None
            assert opened.key_of(ALICE, REGION) == KEY

    def test_a_key_file_that_others_can_read_is_refused(self, folder: Path, text: str, tmp_path: Path) -> None:
        file = tmp_path / "key"
        file.write_text(text)
        file.chmod(0o644)

        with pytest.raises(SettingsError, match="others can read or change it"):
            Vault.from_settings(Settings.load(vault=folder, vault_key_file=file))

    @pytest.mark.parametrize("wrong", ["x" * 44, "c2hvcnQgYnV0IGxvbmc=", "%" * 44, "A" * 88])
    def test_a_key_of_another_size_is_refused_and_not_shown(self, folder: Path, wrong: str) -> None:
        settings = Settings.load(vault=folder, vault_key=wrong)
        with pytest.raises(SettingsError, match="not 32 bytes in Base64") as caught:
            Vault.from_settings(settings)
        assert wrong not in f"{caught.value.message} {caught.value.hint}"
        assert wrong not in repr(settings)

    def test_a_vault_without_a_key_or_with_two_is_refused(self, folder: Path, text: str) -> None:
        with pytest.raises(SettingsError, match="neither is set"):
            Vault.from_settings(Settings.load(vault=folder))
        with pytest.raises(SettingsError, match="both are set"):
            Vault.from_settings(Settings.load(vault=folder, vault_key=text, vault_key_file=folder))

    def test_without_a_folder_there_is_no_vault(self, text: str) -> None:
        assert Vault.from_settings(Settings.load(vault_key=text)) is None

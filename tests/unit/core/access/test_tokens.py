"""Tokens of HTTP clients: made once, kept as hashes, and revoked while a server runs."""

from pathlib import Path

import pytest

from maas_mcp.access.callers import KeyOwner
from maas_mcp.access.keys import KeyFile
from maas_mcp.access.tokens import TokenFile
from maas_mcp.calls.principal import Principal, Scope
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "tokens.toml"


def private(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_token_is_found_by_what_the_client_sends_and_the_file_does_not_hold_it(path: Path) -> None:
    token = TokenFile(path).add("alice", [Scope.OPERATE])

    found = TokenFile(path).find(token)

    assert found is not None
    assert found.name == "alice"
    assert found.scopes == {Scope.OPERATE}
    assert token not in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("given", ["", "alice", "maas-mcp_", "\ud800", "x" * 100])
def test_an_unknown_token_is_not_found(path: Path, given: str) -> None:
    tokens = TokenFile(path)
    tokens.add("alice", [Scope.READ])

    assert tokens.find(given) is None


def test_a_revoked_token_is_refused_at_once_and_a_new_one_accepted(path: Path) -> None:
    serving, command = TokenFile(path), TokenFile(path)
    first = command.add("alice", [Scope.READ])
    assert serving.find(first) is not None

    command.add("bob", [Scope.READ])
    command.remove("alice")
    second = command.add("alice", [Scope.DESTROY])

    assert serving.find(first) is None
    found = serving.find(second)
    assert found is not None
    assert found.scopes == {Scope.DESTROY}


def test_a_name_has_one_token(path: Path) -> None:
    tokens = TokenFile(path)
    tokens.add("alice", [Scope.READ])

    with pytest.raises(SettingsError, match="alice already has a token"):
        tokens.add("alice", [Scope.READ])
    with pytest.raises(SettingsError, match="bob has no token"):
        tokens.remove("bob")


@pytest.mark.parametrize("name", ["", "a b", 'a"]', "-a", "a\n", "x" * 65, "é"])
def test_a_name_that_would_not_be_the_same_everywhere_is_refused(path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="is not a valid name for a token"):
        TokenFile(path).add(name, [Scope.READ])

    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[alice", "not valid TOML"),
        ('[alice]\nscopes = ["maas:read"]', "needs `sha256`"),
        ('[alice]\nsha256 = "abc"\nscopes = ["maas:read"]', "needs `sha256`"),
        (f'[alice]\nsha256 = "{"0" * 64}"', "needs `scopes`"),
        (f'[alice]\nsha256 = "{"0" * 64}"\nscopes = ["maas:everything"]', "needs `scopes`"),
        (f'[alice]\nsha256 = "{"0" * 64}"\nscopes = []', "needs `scopes`"),
        ("alice = 1", "needs `sha256`"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as caught:
        TokenFile(private(tmp_path / "tokens.toml", text)).find("x")

    assert "tokens.toml" in caught.value.message


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o666])
def test_a_file_that_others_can_read_or_change_is_refused(path: Path, mode: int) -> None:
    tokens = TokenFile(path)
    token = tokens.add("alice", [Scope.READ])
    assert tokens.find(token) is not None

    path.chmod(mode)

    with pytest.raises(SettingsError, match="others can read or change it") as caught:
        tokens.find(token)
    assert f"chmod 600 {path}" in (caught.value.hint or "")


def test_a_missing_token_file_accepts_no_token(path: Path) -> None:
    tokens = TokenFile(path)
    token = tokens.add("alice", [Scope.READ])
    path.unlink()

    with pytest.raises(SettingsError, match="cannot be read"):
        tokens.find(token)


class TestKeys:
    def test_each_principal_has_the_key_of_its_name(self, tmp_path: Path) -> None:
        keys = KeyFile(private(tmp_path / "keys.toml", 'alice = "a:b:c"\n"bob@example.com" = "d:e:f"\n'))

        assert keys.key_of(KeyOwner("alice")) == ApiKey("a", "b", "c")
        assert keys.key_of(KeyOwner("bob@example.com")) == ApiKey("d", "e", "f")
        assert keys.key_of(KeyOwner("carol")) is None

    @pytest.mark.parametrize("value", ['"no-key-at-all"', "1", '["a:b:c"]', '"a:b"'])
    def test_an_entry_that_is_no_key_is_named_and_not_shown(self, tmp_path: Path, value: str) -> None:
        keys = KeyFile(private(tmp_path / "keys.toml", f"alice = {value}\n"))

        with pytest.raises(SettingsError, match="the entry of alice is not a MAAS API key") as caught:
            keys.key_of(KeyOwner("bob"))
        assert "no-key-at-all" not in str(caught.value)


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        (Scope.READ, {Scope.READ}),
        (Scope.OPERATE, {Scope.READ, Scope.OPERATE}),
        (Scope.DESTROY, {Scope.READ, Scope.OPERATE, Scope.DESTROY}),
    ],
)
def test_a_scope_includes_those_below_it(granted: Scope, allowed: set[Scope]) -> None:
    assert {scope for scope in Scope if Principal("alice", frozenset({granted})).may(scope)} == allowed


def test_a_principal_does_not_show_its_key() -> None:
    assert "secret" not in repr(Principal("alice", frozenset(), ApiKey("consumer", "token", "secret")))

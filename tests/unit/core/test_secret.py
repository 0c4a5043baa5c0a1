"""The secrets that sign operation ids."""

import os
import stat
from pathlib import Path

import pytest

from maas_mcp.errors import SettingsError
from maas_mcp.secret import check_secret_files, load_secrets
from maas_mcp.settings import Settings


def test_a_given_secret_is_used(tmp_path: Path) -> None:
    settings = Settings.load(secret="0123456789abcdef", state_dir=tmp_path)

    assert load_secrets(settings) == (b"0123456789abcdef",)
    assert list(tmp_path.iterdir()) == []


def test_a_short_secret_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="at least 16 characters") as refusal:
        Settings.load(secret="tooshort")

    assert "tooshort" not in str(refusal.value)


def test_a_secret_is_created_once_and_readable_only_by_its_owner(tmp_path: Path) -> None:
    settings = Settings.load(state_dir=tmp_path / "new" / "state")

    (made,) = load_secrets(settings)

    assert len(made) == 32
    assert load_secrets(settings) == (made,)
    (file,) = (tmp_path / "new" / "state").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_two_processes_share_the_secret_created_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load(state_dir=tmp_path)
    link = os.link

    theirs = b"the other process's secret, made a moment ago"

    def beaten(mine: Path, path: Path) -> None:
        path.write_bytes(theirs)
        path.chmod(0o600)
        link(mine, path)

    monkeypatch.setattr(os, "link", beaten)

    assert load_secrets(settings) == (theirs,)
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_an_error_names_a_directory_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")

    with pytest.raises(SettingsError, match="cannot be stored in") as refusal:
        load_secrets(Settings.load(state_dir=tmp_path / "state"))

    assert "MAAS_MCP_STATE_DIR" in (refusal.value.hint or "")


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"", 0o600, "has 0 bytes. Expected at least 32"),
        (b"a", 0o600, "has 1 bytes. Expected at least 32"),
        (b"a" * 4097, 0o600, "has more than 4096 bytes"),
        (b"a" * 32, 0o644, "(mode 0644)"),
        (b"a" * 32, 0o620, "(mode 0620)"),
    ],
)
def test_a_secret_that_others_may_know_or_guess_is_rejected(
    tmp_path: Path, content: bytes, mode: int, said: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    file.chmod(mode)

    with pytest.raises(SettingsError) as refusal:
        load_secrets(Settings.load(state_dir=tmp_path))

    assert said in refusal.value.message
    assert "the file" in (refusal.value.hint or "")
    assert file.read_bytes() == content


def test_an_error_names_a_directory_in_place_of_the_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()

    with pytest.raises(SettingsError, match=r"cannot be stored in .*secret: Is a directory"):
        load_secrets(Settings.load(state_dir=tmp_path))


def test_several_secrets_keep_their_order() -> None:
    settings = Settings.load(secret=f"{'b' * 16} {'a' * 16}")

    assert load_secrets(settings) == (b"b" * 16, b"a" * 16)


def test_the_previous_secret_comes_after_the_current_one(tmp_path: Path) -> None:
    settings = Settings.load(state_dir=tmp_path)
    (old,) = load_secrets(settings)
    (tmp_path / "secret").rename(tmp_path / "secret.previous")

    new, previous = load_secrets(settings)

    assert previous == old
    assert new != old
    (tmp_path / "secret.previous").unlink()
    assert load_secrets(settings) == (new,)


def test_a_given_secret_replaces_the_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"short")
    (tmp_path / "secret.previous").write_bytes(b"short")

    assert len(load_secrets(Settings.load(secret="0123456789abcdef", state_dir=tmp_path))) == 1


def test_the_error_for_an_exposed_previous_secret_names_its_file(tmp_path: Path) -> None:
    settings = Settings.load(state_dir=tmp_path)
    load_secrets(settings)
    file = tmp_path / "secret.previous"
    file.write_bytes(b"a" * 32)
    file.chmod(0o644)

    for use in (load_secrets, check_secret_files):
        with pytest.raises(SettingsError, match=r"Other users can read or change .*secret\.previous"):
            use(settings)

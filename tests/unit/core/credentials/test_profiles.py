"""Profiles of the MAAS CLI: read without a change, and only if nobody else can."""

import json
from pathlib import Path

import pytest

from maas_mcp.credentials.profiles import profile_names, profiles_file, read_profile
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey
from maas_mcp.settings import Settings
from tests.maas_cli import write_profiles

URL, KEY = "https://maas.example.com:5443/MAAS", "consumer:token:SecretSecretSecret"
API = f"{URL}/api/2.0/"


def refusal(path: Path, name: str = "lab", **given: object) -> str:
    with pytest.raises(SettingsError) as caught:
        read_profile(path, name, Settings.load(**given))
    assert "SecretSecret" not in f"{caught.value} {caught.value.hint}"
    return f"{caught.value.message} {caught.value.hint or ''}"


def test_a_profile_has_the_url_and_the_key_and_the_database_stays_as_it_is(home: Path) -> None:
    path = write_profiles(home / ".maascli.db", {"lab": (URL, KEY), "prod": (URL, "a:b:c")})
    before = path.read_bytes()

    access = read_profile(path, "lab", Settings.load())

    assert access is not None
    assert (access.api_url, access.api_key, access.ca_bundle) == (API, ApiKey.parse(KEY), None)
    assert read_profile(path, "other", Settings.load()) is None
    assert profile_names(path) == ["lab", "prod"]
    assert path.read_bytes() == before
    assert [each.name for each in home.iterdir()] == [".maascli.db"]


def test_the_database_is_in_the_home_directory_or_in_that_of_the_snap(home: Path) -> None:
    assert profiles_file() is None
    snap = home / "snap" / "maas" / "current"
    snap.mkdir(parents=True)
    in_snap = write_profiles(snap / ".maascli.db", {"lab": (URL, KEY)})
    assert profiles_file() == in_snap
    assert profiles_file() == in_snap
    assert write_profiles(home / ".maascli.db", {}) == profiles_file()


def test_a_database_that_others_can_read_is_refused(home: Path) -> None:
    path = write_profiles(home / ".maascli.db", {"lab": (URL, KEY)}, mode=0o644)
    assert "holds the API keys of the MAAS CLI, and others can read or change it (mode 0644)" in refusal(path)


def test_a_file_that_is_no_database_is_refused(home: Path) -> None:
    path = home / ".maascli.db"
    path.write_text("SecretSecret")
    path.chmod(0o600)
    assert "cannot be read: file is not a database" in refusal(path)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("SecretSecret", "The profile lab of the MAAS CLI cannot be read. Create it again"),
        ("[]", "cannot be read"),
        (json.dumps({"url": 1, "credentials": None}), "cannot be read"),
        (json.dumps({"url": API, "credentials": None}), "has no API key. Create it again with a key"),
        (json.dumps({"url": API, "credentials": ["SecretSecret"]}), "is not a MAAS API key: expected"),
        (json.dumps({"url": "http://maas/MAAS", "credentials": ["a", "b", "c"]}), "CLI uses http:// for maas"),
    ],
)
def test_a_profile_that_cannot_be_used_is_named(home: Path, data: str, problem: str) -> None:
    assert problem in refusal(write_profiles(home / ".maascli.db", {"lab": data}))


def test_the_certificates_of_a_profile_are_trusted(home: Path) -> None:
    data = {"url": API, "credentials": ["a", "b", "c"], "cacerts": "-----BEGIN"}
    path = write_profiles(home / ".maascli.db", {"lab": data})
    assert "trusts certificates that are not in" in refusal(path)

    bundle = home / ".maascli.certs" / "lab.pem"
    bundle.parent.mkdir()
    bundle.write_text("-----BEGIN")

    access = read_profile(path, "lab", Settings.load())
    assert access is not None
    assert access.ca_bundle == bundle
    access = read_profile(path, "lab", Settings.load(maas_ca_bundle=home / "own.pem"))
    assert access is not None
    assert access.ca_bundle == home / "own.pem"

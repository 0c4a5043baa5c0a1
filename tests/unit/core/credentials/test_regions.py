"""Where the regions of the local user come from, and in which order."""

from pathlib import Path

import pytest

from maas_mcp.credentials import logins
from maas_mcp.credentials.regions import LocalRegions, find_regions, ignored_sources
from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey, RegionAccess
from maas_mcp.settings import Settings
from tests.maas_cli import write_profiles

URL, KEY = "https://maas.example.com:5443/MAAS", "consumer:token:SecretSecretSecret"
OTHER = "https://other.example.com/MAAS"


def key_file(folder: Path, text: str = KEY, mode: int = 0o600) -> str:
    path = folder / "maas.key"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def log_in(name: str, url: str, key: str = KEY) -> None:
    logins.store_login(Settings.load(), name, RegionAccess(f"{url}/api/2.0/", ApiKey.parse(key)), "alice")


def found(**given: object) -> list[tuple[str, str]]:
    return [(each.name, each.source) for each in find_regions(Settings.load(**given))]


def refusal(**given: object) -> str:
    with pytest.raises(SettingsError) as caught:
        find_regions(Settings.load(**given))
    assert "SecretSecret" not in f"{caught.value} {caught.value.hint}"
    return f"{caught.value.message} {caught.value.hint or ''}"


def test_the_first_source_that_is_set_is_used(home: Path) -> None:
    profiles = write_profiles(home / ".maascli.db", {"lab": (OTHER, KEY)})
    path = key_file(home)
    log_in("home", URL)

    assert found() == [("home", "the login home in a file")]
    assert found(profiles=("lab",)) == [("lab", f"the profile lab of the MAAS CLI in {profiles}")]
    assert found(profiles=("lab",), maas_url=URL, maas_api_key_file=path) == [("", f"MAAS_API_KEY_FILE, {path}")]
    everything = {"profiles": ("lab",), "maas_url": URL, "maas_api_key_file": path, "maas_api_key": KEY}
    assert found(**everything) == [("", "MAAS_API_KEY")]
    assert ignored_sources(Settings.load(**everything)) == ["MAAS_API_KEY_FILE", "MAAS_MCP_PROFILES"]


def test_a_user_without_a_region_learns_what_was_looked_for(home: Path) -> None:
    write_profiles(home / ".maascli.db", {"lab": (OTHER, KEY), "prod": (URL, KEY)})

    text = refusal()

    assert text.startswith(
        "MAAS_URL and MAAS_API_KEY are not set. MAAS_API_KEY_FILE and MAAS_MCP_PROFILES are not set "
    )
    assert f"{home / 'state' / 'logins.json'} has no login. " in text
    assert "The MAAS CLI has the profiles lab, prod: choose with MAAS_MCP_PROFILES=lab." in text
    assert "Run `maas-mcp login`, or use an API key." in text


def test_a_profile_is_not_used_unless_it_is_chosen(home: Path) -> None:
    write_profiles(home / ".maascli.db", {"lab": (OTHER, KEY)})
    assert "MAAS_MCP_PROFILES=lab" in refusal()


def test_a_key_file_needs_the_url(home: Path) -> None:
    assert "MAAS_URL is not set." in refusal(maas_api_key_file=key_file(home))


@pytest.mark.parametrize(
    ("text", "mode", "problem"),
    [
        (KEY, 0o640, "holds the MAAS API key, and others can read or change it (mode 0640). Run `chmod 600"),
        (KEY, 0o604, "(mode 0604)"),
        ("SecretSecretSecret", 0o600, "is not a MAAS API key: expected consumer:token:secret, got 1 part."),
        ("Secret:Secret", 0o600, "expected consumer:token:secret, got 2 parts."),
        ("Secret::Secret", 0o600, "expected consumer:token:secret, got an empty part."),
        ("", 0o600, "maas.key is not a MAAS API key: expected consumer:token:secret, got nothing."),
    ],
)
def test_a_key_file_is_refused_if_others_can_read_it_or_it_has_no_key(
    home: Path, text: str, mode: int, problem: str
) -> None:
    assert problem in refusal(maas_url=URL, maas_api_key_file=key_file(home, text, mode))


def test_a_key_file_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = key_file(home)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    assert "belongs to another user" in refusal(maas_url=URL, maas_api_key_file=path)


def test_a_missing_key_file_is_named(home: Path) -> None:
    assert "cannot be read: No such file" in refusal(maas_url=URL, maas_api_key_file=str(home / "none"))


def test_a_key_file_may_end_with_a_line_break_and_is_read_only_by_its_owner(home: Path) -> None:
    path = key_file(home, f"{KEY}\r\n", 0o400)
    [region] = find_regions(Settings.load(maas_url=URL, maas_api_key_file=path))
    assert region.access.api_key == ApiKey.parse(KEY)
    assert region.access.api_url == f"{URL}/api/2.0/"


def test_several_profiles_are_several_regions_in_the_given_order(home: Path) -> None:
    write_profiles(home / ".maascli.db", {"lab": (OTHER, "a:b:c"), "prod": (URL, KEY)})
    log_in("home", URL)

    regions = LocalRegions(Settings.load(profiles=("prod", "home", "lab", "prod")))

    assert regions.names == ("prod", "home", "lab")
    assert regions.access() == regions.access("prod")
    assert regions.access("lab") == RegionAccess(f"{OTHER}/api/2.0/", ApiKey("a", "b", "c"))
    assert regions.anonymous() == RegionAccess(f"{URL}/api/2.0/")


def test_an_unknown_profile_is_refused_with_the_known_ones(home: Path) -> None:
    assert "There are no logins and no profiles." in refusal(profiles=("lab",))
    write_profiles(home / ".maascli.db", {"lab": (OTHER, KEY)})
    log_in("home", URL)
    text = refusal(profiles=("lab", "prod"))
    assert "MAAS_MCP_PROFILES names prod, which is neither" in text
    assert "Expected one of home, lab." in text
    assert "maas-mcp login --profile prod" in text


def test_a_single_region_leaves_no_choice(home: Path) -> None:  # noqa: ARG001 - an empty one
    assert LocalRegions(Settings.load(maas_url=URL, maas_api_key=KEY)).names == ()
    assert LocalRegions(Settings.load()).names == ()  # who needs a region gets the error


def test_all_logins_are_regions_and_the_url_chooses_among_them(home: Path) -> None:  # noqa: ARG001 - its state
    log_in("lab", OTHER)
    log_in("prod", URL)

    assert LocalRegions(Settings.load()).names == ("lab", "prod")
    assert found(maas_url=URL) == [("prod", "the login prod in a file")]
    assert "has no login to https://third/MAAS/api/2.0/" in refusal(maas_url="https://third")

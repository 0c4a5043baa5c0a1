"""The sources of settings, and the errors for invalid ones."""

import re
import string
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maas_mcp.errors import SettingsError
from maas_mcp.maas.address import ApiKey
from maas_mcp.settings import Settings, config_file, find_misnamed_variables, variable_name

KEY = "consumerconsumer18:tokentokentoken018:SecretSecretSecretSecretSecret42"


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "maas-mcp.toml"
    path.write_text("")
    monkeypatch.setenv("MAAS_MCP_CONFIG", str(path))
    return path


def collect_reported_text(error: BaseException) -> str:
    assert error.__cause__ is None
    assert error.__context__ is None
    return "".join(traceback.format_exception(error))


def test_nothing_needs_to_be_set_to_load() -> None:
    settings = Settings.load()
    assert settings.maas_url is None
    assert (settings.poll_interval, settings.outage_limit, settings.log_level) == (2.0, 300.0, "WARNING")
    assert (settings.plugins_allow, settings.plugins_block, settings.maas_url) == ((), (), None)


def test_arguments_override_the_environment_and_the_environment_the_file(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text('poll_interval = 3\nlog_level = "debug"\nmaas_url = "https://file"\nplugins_allow = ["a", "b"]\n')
    monkeypatch.setenv("MAAS_MCP_POLL_INTERVAL", "4")
    monkeypatch.setenv("MAAS_MCP_LOG_LEVEL", "info")
    monkeypatch.setenv("MAAS_URL", "https://environment")
    settings = Settings.load(log_level="ERROR", maas_url="https://argument")
    assert (settings.log_level, settings.maas_url) == ("ERROR", "https://argument")
    assert settings.poll_interval == 4
    assert settings.plugins_allow == ("a", "b")


def test_every_setting_has_a_variable_and_a_description() -> None:
    variables = {variable_name(name) for name in Settings.model_fields}
    assert len(variables) == len(Settings.model_fields)
    assert {"MAAS_URL", "MAAS_API_KEY", "MAAS_CA_BUNDLE", "MAAS_ALLOW_HTTP"} <= variables
    assert all(variable.startswith("MAAS_") for variable in variables)
    assert all(info.description for info in Settings.model_fields.values())


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("MAAS_CA_BUNDLE", "/etc/ca.pem", "maas_ca_bundle", Path("/etc/ca.pem")),
        ("MAAS_CA_BUNDLE", "~/ca.pem", "maas_ca_bundle", Path("~/ca.pem").expanduser()),
        ("MAAS_ALLOW_HTTP", "true", "maas_allow_http", True),
        ("MAAS_MCP_LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("MAAS_MCP_STRICT_PLUGINS", "1", "strict_plugins", True),
        ("MAAS_MCP_PLUGINS_ALLOW", "deploy, inventory,,", "plugins_allow", ("deploy", "inventory")),
        ("MAAS_MCP_PLUGINS_BLOCK", "", "plugins_block", ()),
        ("MAAS_URL", "", "maas_url", None),
        ("MAAS_URL", ' "" ', "maas_url", None),
        ("MAAS_URL", '"https://maas/MAAS";', "maas_url", "https://maas/MAAS"),
        ("MAAS_URL", "MAAS_URL=https://maas/MAAS\n", "maas_url", "https://maas/MAAS"),
        ("MAAS_CA_BUNDLE", " '~/ca.pem' ", "maas_ca_bundle", Path("~/ca.pem").expanduser()),
        ("MAAS_ALLOW_HTTP", ' "True", ', "maas_allow_http", True),
        ("MAAS_MCP_POLL_INTERVAL", " '5' ", "poll_interval", 5.0),
        ("MAAS_MCP_POLL_INTERVAL", " ", "poll_interval", 2.0),
        ("MAAS_MCP_POLLING", '"status"', "polling", "status"),
        ("MAAS_MCP_LOG_LEVEL", '"debug";', "log_level", "DEBUG"),
        ("MAAS_MCP_STATE_DIR", '"/var/lib/maas-mcp"', "state_dir", Path("/var/lib/maas-mcp")),
        ("MAAS_MCP_PLUGINS_ALLOW", '"deploy", "inventory"', "plugins_allow", ("deploy", "inventory")),
        ("MAAS_MCP_PLUGINS_ALLOW", '["deploy"]', "plugins_allow", ("deploy",)),
    ],
)
def test_a_variable_is_read(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, expected: object
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(Settings.load(), field) == expected


@pytest.mark.parametrize(
    ("variable", "value", "reported"),
    [
        ("MAAS_MCP_POLL_INTERVAL", "soon", "valid number"),
        ("MAAS_MCP_POLL_INTERVAL", "0", "greater than or equal to 0.05"),
        ("MAAS_MCP_POLL_INTERVAL", "nan", "less than or equal to 60"),
        ("MAAS_MCP_OUTAGE_LIMIT", "-1", "greater than or equal to 0"),
        ("MAAS_MCP_LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
        ("MAAS_ALLOW_HTTP", "perhaps", "expected true or false"),
        ("MAAS_CA_BUNDLE", "~nosuchuser/ca.pem", "this machine has no user nosuchuser"),
        ("MAAS_MCP_STATE_DIR", "~nosuchuser", "this machine has no user nosuchuser"),
        ("MAAS_MCP_SECRET", "0123456789abcdef\udc80", "is not UTF-8"),
        ("maas_mcp_poll_interval", "soon", "valid number"),
        ("MAAS_URL", "https://${MAAS_HOST}/MAAS", "it contains ${MAAS_HOST}, which was not replaced"),
        ("MAAS_URL", "https://u:$HUNTER2@maas/", "it contains a variable, which was not replaced"),
        ("MAAS_API_KEY", "${env:KEY}", "it contains the variable KEY, which was not replaced"),
        ("MAAS_API_KEY", "a:b:$HUNTER2", "it contains a variable, which was not replaced"),
        ("MAAS_CA_BUNDLE", "$HOME/ca.pem", "it contains $HOME, which was not replaced"),
        ("MAAS_MCP_POLL_INTERVAL", "%INTERVAL%", "it contains %INTERVAL%, which was not replaced"),
        ("MAAS_MCP_PLUGINS_BLOCK", "deploy,$OTHERS", "it contains $OTHERS, which was not replaced"),
        ("MAAS_MCP_SECRET", "${input:sealing-secret}", "it contains the variable sealing-secret"),
    ],
)
def test_the_error_for_an_invalid_variable_names_it_and_the_allowed_values(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reported: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=re.escape(reported)) as caught:
        Settings.load()
    assert caught.value.message.startswith(f"{variable}: ")
    assert "HUNTER2" not in collect_reported_text(caught.value)


def test_a_secret_may_contain_any_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_MCP_SECRET", "a$B%CDEF%{{x}}$(y)${z}")
    assert secrets_of(Settings.load()) == ["a$B%CDEF%{{x}}$(y)${z}"]


A, B = "a" * 16, "b" * 16


def secrets_of(settings: Settings) -> list[str]:
    return [each.get_secret_value() for each in settings.secret]


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        (A, [A]),
        (f" {B} {A}\n", [B, A]),
        (f"{B}\n{A}\n", [B, A]),
        (f"{B}, {A}", [B, A]),
        (f'"{B} {A}"', [B, A]),
        (f"{B} '{A}'", [B, A]),
        ("correct horse battery staple", ["correct horse battery staple"]),
        ("8K,x2 is a word; so is 7", ["8K,x2 is a word; so is 7"]),
        (f"{B},{A}", [f"{B},{A}"]),
        ("x" * 12 + "," + "y" * 12, ["x" * 12 + "," + "y" * 12]),
    ],
)
def test_secrets_are_separated_by_spaces_and_a_passphrase_is_one_secret(
    monkeypatch: pytest.MonkeyPatch, value: str, secrets: list[str]
) -> None:
    monkeypatch.setenv("MAAS_MCP_SECRET", value)

    assert secrets_of(Settings.load()) == secrets


def test_secrets_in_a_file_are_a_string_or_a_list(toml: Path) -> None:
    toml.write_text(f'secret = "{B} {A}"\n')
    assert secrets_of(Settings.load()) == [B, A]
    toml.write_text(f'secret = ["new words of a passphrase", "{A},"]\n')
    assert secrets_of(Settings.load()) == ["new words of a passphrase", A]


@pytest.mark.parametrize(
    ("value", "reported"),
    [
        ("hunter2", "the secret is too short: expected at least 16 characters"),
        (f"{B} hunter2", "the second secret is too short: expected at least 16 characters"),
        (f"hunter2 {A}", "the first secret is too short: expected at least 16 characters"),
        (f"{A} {A} {A} hunter2", "the fourth secret is too short"),
        (" ".join([A] * 12 + ["hunter2"]), "secret number 13 is too short"),
        (f"{B} hunter2{A}\udc80", "the second secret is not UTF-8 text"),
        (
            f"{B} ${{HUNTER2_OLD_SECRET}}",
            "the second secret is a placeholder: it contains the variable HUNTER2_OLD_SECRET",
        ),
    ],
)
def test_an_error_names_the_invalid_one_of_several_secrets_without_its_value(
    monkeypatch: pytest.MonkeyPatch, value: str, reported: str
) -> None:
    monkeypatch.setenv("MAAS_MCP_SECRET", value)

    with pytest.raises(SettingsError) as caught:
        Settings.load()

    assert caught.value.message.startswith(f"MAAS_MCP_SECRET: {reported}")
    for shown in ("hunter2", A, B):
        assert shown not in collect_reported_text(caught.value)


def test_a_blank_variable_does_not_override_the_file(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text("poll_interval = 3\n")
    monkeypatch.setenv("MAAS_MCP_POLL_INTERVAL", ' "" ')
    assert Settings.load().poll_interval == 3
    toml.write_text("poll_interval = 300\n")
    with pytest.raises(SettingsError, match="poll_interval in "):
        Settings.load()


def test_a_value_of_the_file_is_unwrapped(toml: Path) -> None:
    toml.write_text(f'maas_url = "MAAS_URL=https://maas/MAAS;"\nmaas_api_key = "export MAAS_API_KEY={KEY}"\n')
    region = Settings.load().require_region()
    assert (region.api_url, region.api_key) == ("https://maas/MAAS/api/2.0/", ApiKey.parse(KEY))
    toml.write_text('maas_api_key = "${MAAS_KEY}"\n')
    with pytest.raises(SettingsError, match=r"maas_api_key in .*: it contains the variable MAAS_KEY"):
        Settings.load()


def test_the_error_for_an_invalid_key_names_the_file(toml: Path) -> None:
    toml.write_text("poll_interval = 100\n")
    with pytest.raises(SettingsError, match="less than or equal to 60") as caught:
        Settings.load()
    assert caught.value.message.startswith(f"poll_interval in {toml}: ")


def test_the_error_for_an_invalid_argument_names_it() -> None:
    with pytest.raises(SettingsError, match="The argument poll_interval: "):
        Settings.load(poll_interval=100)


def test_the_error_for_an_unknown_key_suggests_the_closest_one(toml: Path) -> None:
    toml.write_text("pol_interval = 3\nzzz = 1\n")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert f"pol_interval in {toml} is not a setting; did you mean poll_interval?" in caught.value.message
    assert f"zzz in {toml} is not a setting; expected maas_url, maas_api_key," in caught.value.message


@pytest.mark.parametrize("text", ['maas_api_key = "hunter2', "maas_api_key = hunter2", "a = 1\nhunter2"])
def test_the_error_for_invalid_toml_names_the_file_without_its_content(toml: Path, text: str) -> None:
    toml.write_text(text)
    with pytest.raises(SettingsError, match="not valid TOML") as caught:
        Settings.load()
    assert str(toml) in caught.value.message
    assert "hunter2" not in collect_reported_text(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_file_from_any_editor_is_read(toml: Path, encoding: str) -> None:
    toml.write_bytes('log_level = "info" # café\r\nplugins_allow = ["a"]\r\n'.encode(encoding))
    assert (Settings.load().log_level, Settings.load().plugins_allow) == ("INFO", ("a",))


def test_the_error_for_a_binary_file_names_it(toml: Path) -> None:
    toml.write_bytes(b'log_level = "\xff"')
    with pytest.raises(SettingsError, match=r"cannot be read: it is not UTF-8 text \(byte 14\); save it as UTF-8"):
        Settings.load()
    toml.write_bytes('log_level = "info"'.encode("utf-16-le"))
    with pytest.raises(SettingsError, match="UTF-16 without a byte order mark; save it as UTF-8"):
        Settings.load()


def test_the_configured_file_must_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAAS_MCP_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(SettingsError, match=r"MAAS_MCP_CONFIG names .*none\.toml, which is not a file"):
        Settings.load()


def test_the_path_of_the_file_may_be_quoted_but_not_a_placeholder(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_MCP_CONFIG", f' "{toml}" ')
    assert config_file() == toml
    monkeypatch.setenv("MAAS_MCP_CONFIG", ' "" ')
    assert config_file() is None
    monkeypatch.setenv("MAAS_MCP_CONFIG", "${HOME}/maas.toml")
    with pytest.raises(SettingsError, match=r"MAAS_MCP_CONFIG: it contains \$\{HOME\}, which was not replaced"):
        Settings.load()


def test_a_path_in_an_unknown_users_home_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_MCP_CONFIG", "~nosuchuser/maas.toml")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert (
        caught.value.message == "MAAS_MCP_CONFIG names ~nosuchuser/maas.toml, but this machine has no user nosuchuser."
    )


def test_the_users_own_file_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MAAS_MCP_CONFIG", raising=False)
    monkeypatch.setattr("platformdirs.user_config_path", lambda name: tmp_path / name)
    assert config_file() is None
    (tmp_path / "maas-mcp").mkdir()
    (tmp_path / "maas-mcp" / "config.toml").write_text('log_level = "debug"')
    assert Settings.load().log_level == "DEBUG"


def test_the_key_is_in_no_repr_and_no_error(monkeypatch: pytest.MonkeyPatch, toml: Path) -> None:
    monkeypatch.setenv("MAAS_API_KEY", KEY)
    settings = Settings.load(maas_url="https://maas.example.com")
    assert "SecretSecret" not in f"{settings!r} {settings} {settings.model_dump_json()} {settings.require_region()!r}"
    monkeypatch.delenv("MAAS_API_KEY")
    toml.write_text(f'maas_api_key = ["{KEY}"]\n')
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert "SecretSecret" not in collect_reported_text(caught.value)
    with pytest.raises(ValidationError) as raw:
        Settings()
    assert "SecretSecret" not in str(raw.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings.load().log_level = "INFO"  # type: ignore[misc]  # this must raise


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "MAAS_URL and MAAS_API_KEY are not set."),
        ({"maas_api_key": KEY}, "MAAS_URL is not set."),
        ({"maas_url": "https://maas"}, "MAAS_API_KEY is not set."),
    ],
)
def test_the_error_for_missing_settings_explains_how_to_get_them(given: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(**given).require_region()
    assert caught.value.message == missing
    for helpful in ("maas apikey --username", "preferences", "maas-mcp demo"):
        assert helpful in str(caught.value.hint)


@pytest.mark.parametrize(
    ("variables", "reported"),
    [
        ({"MAAS_API_URL": "x"}, "MAAS_API_URL is not a setting: did you mean MAAS_URL? Set MAAS_URL to"),
        ({"MAAS_TOKEN": "hunter2"}, "MAAS_TOKEN is not a setting: did you mean MAAS_API_KEY? Set"),
        ({"MAAS_URL": "https://maas", "MAAS_APIKEY": "hunter2"}, "did you mean MAAS_API_KEY?"),
    ],
)
def test_the_error_for_a_missing_variable_mentions_a_misnamed_one(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reported: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load().require_region()
    assert reported in str(caught.value.hint)
    assert "hunter2" not in str(caught.value.hint)


def test_a_variable_of_another_program_is_not_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_USER", "admin")
    monkeypatch.setenv("MAAS_HOST", "")
    monkeypatch.setenv("MAAS_CA_CERT", "ca.pem")  # resembles an optional setting
    with pytest.raises(SettingsError) as caught:
        Settings.load().require_region()
    assert "did you mean" not in str(caught.value.hint)


def test_a_misnamed_variable_is_found_until_the_right_one_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_CA_CERT", "ca.pem")
    monkeypatch.setenv("MAAS_MCP_POLL_INTERVALL", "5")
    assert find_misnamed_variables() == {
        "MAAS_CA_CERT": "MAAS_CA_BUNDLE",
        "MAAS_MCP_POLL_INTERVALL": "MAAS_MCP_POLL_INTERVAL",
    }
    monkeypatch.setenv("maas_ca_bundle", "ca.pem")
    assert find_misnamed_variables() == {"MAAS_MCP_POLL_INTERVALL": "MAAS_MCP_POLL_INTERVAL"}


@pytest.mark.parametrize(
    "key",
    [
        *("", "a", "a:b", "a:b:", ":b:c", "::", "a:b:c:d", "hunter2 x:b:c", "a:b:hunter2é", "a:b:hunter2\r\nX: y"),
        *('"a:b:hunter2', "a:b:hunter2'", "a:b:{hunter2}", "a:hunter2;:c", "https://hunter2:5443/MAAS"),
    ],
)
def test_an_invalid_api_key_is_rejected_without_being_shown(key: str) -> None:
    settings = Settings(maas_url="https://maas", maas_api_key=key)
    with pytest.raises(SettingsError, match="MAAS_API_KEY is not a MAAS API key") as caught:
        settings.require_region()
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"


PART = st.text(string.ascii_letters + string.digits + "-_.~", min_size=1)


@given(PART, PART, PART)
def test_an_api_key_is_parsed_and_never_shown(consumer: str, token: str, secret: str) -> None:
    key = ApiKey.parse(f" {consumer}:{token}:{secret}\n")
    assert (key.consumer, key.token, key.secret) == (consumer, token, secret)
    assert repr(key) == "ApiKey()"


@given(st.text())
def test_any_text_is_an_api_key_or_a_settings_error(text: str) -> None:
    try:
        key = ApiKey.parse(text)
    except SettingsError as error:
        assert len(text.strip()) < 5 or text.strip() not in error.message  # noqa: PT017 - either outcome is right
    else:
        assert f"{key.consumer}:{key.token}:{key.secret}" == text.strip()


@pytest.mark.parametrize(
    "url", ["http://maas:5240/MAAS", "http://10.0.0.2/", "http://localhost.example.com", "http://0.0.0.0"]
)
def test_http_to_another_host_must_be_allowed(url: str) -> None:
    settings = Settings(maas_url=url, maas_api_key=KEY)
    with pytest.raises(SettingsError, match="uses http://") as caught:
        settings.require_region()
    assert "MAAS_ALLOW_HTTP=true" in str(caught.value.hint)
    allowed = Settings(maas_url=url, maas_api_key=KEY, maas_allow_http=True)
    assert allowed.require_region().api_url.startswith("http://")


def test_the_policy_is_a_table_of_the_file(toml: Path) -> None:
    toml.write_text('mode = "night"\n[policy.modes.night]\noperate = "refuse"\n[policy.limits.deploy]\nat_once = 3\n')

    settings = Settings.load()

    assert settings.policy.mode(settings.mode).operate == "refuse"
    assert settings.policy.limit("deploy").at_once == 3


def test_the_lists_of_the_policy_may_have_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_MCP_POLICY", '{"protect": {"tags": "production, infra"}, "second_person": "erase"}')

    policy = Settings.load().policy

    assert policy.protect.tags == ("production", "infra")
    assert policy.second_person == ("erase",)


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ('{"protect": {"tagz": ["x"]}}', "MAAS_MCP_POLICY: protect.tagz is not a setting"),
        ('{"protect":', "MAAS_MCP_POLICY: not valid JSON"),
        (
            '{"limits": {"deploy": {"per_hour": -1}}}',
            "MAAS_MCP_POLICY: limits.deploy.per_hour: input should be greater",
        ),
        ('{"modes": {"read-only": {"operate": "allow"}}}', "MAAS_MCP_POLICY: modes.read-only allows changes"),
        ('{"modes": {"x": {"operate": "maybe"}}}', "MAAS_MCP_POLICY: modes.x.operate: input should be 'allow'"),
        ("[]", "MAAS_MCP_POLICY: expected a table, which is an object in JSON."),
        ('{"limits": {"deploy": 5}}', "MAAS_MCP_POLICY: limits.deploy: expected a table, which is an object in JSON."),
        ('{"limits": {"deploy": {"per_call": "five"}}}', "limits.deploy.per_call: expected a whole number."),
        ('{"limits": {"deploy": {"percall": 5}}}', "limits.deploy.percall is not a setting; did you mean per_call?"),
        ('{"protect": {"x": 5}}', "protect.x is not a setting; expected tags, pools, zones, hostnames, other_owners."),
        ('{"mode": "read-only"}', "mode is not a setting; mode belongs before the first table of the file."),
        ('{"protect": {"tags": 5}}', 'protect.tags: expected a list, such as ["one", "two"].'),
        (
            '{"freeze": {"start": "08:00"}}',
            "freeze: expected a list of tables, each with the heading [[policy.freeze]].",
        ),
        (
            '{"freeze": [{"start": "soon", "end": "09:00"}]}',
            "MAAS_MCP_POLICY: freeze.0.start: expected a date with time, such as 2026-12-23T18:00:00Z, or a time of",
        ),
        (
            '{"freeze": [{"start": "08:00", "end": "09:00", "timezone": "Wien"}]}',
            "freeze.0.timezone: no time zone has the name Wien",
        ),
    ],
)
def test_the_error_for_an_invalid_policy_names_the_rule(
    policy: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAAS_MCP_POLICY", policy)

    with pytest.raises(SettingsError) as error:
        Settings.load()

    assert problem in error.value.message


def test_an_unknown_mode_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_MCP_POLICY", '{"modes": {"night": {}}}')
    monkeypatch.setenv("MAAS_MCP_MODE", "dusk")

    with pytest.raises(
        SettingsError, match=r"MAAS_MCP_MODE: dusk is not a mode.*read-only, standard, unattended, night"
    ):
        Settings.load()

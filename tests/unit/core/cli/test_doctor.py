"""The doctor's findings about a region."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maas_mcp.cli.doctor import check_plugins, judge_proxy, judge_user, judge_version
from maas_mcp.cli.findings import Finding, Mark, Report
from maas_mcp.cli.policy_checks import check_policy, judge_protection
from maas_mcp.cli.region_checks import Clock, judge_clock, judge_expiry, judge_server_certificate
from maas_mcp.maas.address import Proxy
from maas_mcp.maas.models import User
from maas_mcp.maas.observer import Exchange
from maas_mcp.plugins.registry import load_registry
from maas_mcp.policy.configuration import Policy, Protection
from maas_mcp.settings import Settings
from tests.own_plugins import OWN_PLUGINS


@pytest.mark.parametrize("version", ["3.3.11", "3.7.3", "3.8.0a1", "3.8.0~beta1"])
def test_a_tested_release_passes(version: str) -> None:
    finding = judge_version(version)
    assert finding.mark is Mark.PASSED
    assert finding.detail == f"MAAS {version}"


@pytest.mark.parametrize(
    ("version", "what"), [("2.9.2", "older"), ("3.2.9", "older"), ("3.9.0", "newer"), ("4.0", "newer")]
)
def test_an_untested_release_is_a_warning_that_names_the_tested_ones(version: str, what: str) -> None:
    finding = judge_version(version)
    assert finding.mark is Mark.WARNING
    assert what in finding.detail
    assert "3.3 to 3.8" in str(finding.hint)


def test_an_unreadable_version_is_a_warning() -> None:
    assert judge_version("unknown").mark is Mark.WARNING


def test_a_proxy_is_shown_with_its_variable_and_ignored_exceptions() -> None:
    proxy = Proxy("http://u:hunter2@proxy:3128", "http://proxy:3128", "HTTPS_PROXY")
    assert judge_proxy(proxy) == Finding(
        Mark.PASSED, "Proxy", "MAAS is reached through http://proxy:3128 (HTTPS_PROXY)"
    )
    finding = judge_proxy(replace(proxy, warnings=("NO_PROXY entry 'a/99' is not understood, so it is ignored.",)))
    assert finding.mark is Mark.WARNING
    assert finding.detail.endswith("(HTTPS_PROXY). NO_PROXY entry 'a/99' is not understood, so it is ignored.")
    assert "10.0.0.0/8" in str(finding.hint)
    assert "hunter2" not in repr(finding)


def test_an_administrator_can_do_everything_and_others_cannot_commission() -> None:
    assert "an administrator" in judge_user("admin", administrator=True).detail
    assert "commissioning needs an administrator" in judge_user("bob", administrator=False).detail


@pytest.mark.parametrize(
    ("marks", "conclusion", "code"),
    [
        ([Mark.PASSED, Mark.SKIPPED], "All checks passed.", 0),
        ([Mark.PASSED, Mark.WARNING], "No check failed. There is 1 warning.", 0),
        ([Mark.WARNING, Mark.WARNING], "No check failed. There are 2 warnings.", 0),
        ([Mark.WARNING, Mark.FAILED], "1 check failed.", 1),
        ([Mark.FAILED, Mark.FAILED], "2 checks failed.", 1),
    ],
)
def test_the_conclusion_reflects_the_worst_finding(
    marks: list[Mark], conclusion: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report()
    for mark in marks:
        report.add(Finding(mark, "Region", "reachable"))
    assert report.conclude() == code
    assert capsys.readouterr().out.endswith(f"\n\n{conclusion}\n")


def test_unusable_settings_of_plugins_are_a_failed_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('plugins = "notes"\n')
    monkeypatch.setenv("MAAS_MCP_CONFIG", str(file))
    report = Report()
    check_plugins(report)
    assert report.failed == 1
    assert "plugins in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("skew", "mark", "words"),
    [
        (0.4, Mark.PASSED, "agrees"),
        (-59, Mark.PASSED, "agrees"),
        (90, Mark.WARNING, "this host is 90 s behind the region"),
        (-4000, Mark.WARNING, "this host is 4000 s ahead of the region"),
        (310, Mark.FAILED, "MAAS rejects its signatures as too old"),
    ],
)
def test_the_clocks_of_host_and_region_are_compared(skew: float, mark: Mark, words: str) -> None:
    finding = judge_clock(skew)

    assert finding.mark is mark
    assert words in finding.detail
    assert (finding.hint is None) is (mark is Mark.PASSED)


@pytest.mark.parametrize("date", ["Sun, 06 Nov 1994 08:49:37 GMT", "nonsense", None])
def test_the_skew_comes_from_the_header_date(date: str | None) -> None:
    clock, exchange = Clock(), Exchange("GET", "https://maas/", "version/")
    with clock.observe(exchange):
        exchange.date = date

    assert (clock.skew is not None and clock.skew < -1e8) is (date is not None and date != "nonsense")


@pytest.mark.parametrize(
    ("days", "mark", "words"),
    [(400, Mark.PASSED, "valid until"), (12, Mark.WARNING, "in 12 days"), (-1, Mark.FAILED, "expired on")],
)
def test_a_certificate_that_expires_soon_is_a_warning(days: int, mark: Mark, words: str) -> None:
    now = datetime(2026, 11, 29, tzinfo=UTC)
    finding = judge_expiry("Certificate", now + timedelta(days=days), "Renew it.", now)

    assert finding.mark is mark
    assert words in finding.detail
    assert (finding.hint == "Renew it.") is (mark is not Mark.PASSED)


def test_an_unusable_certificate_of_the_server_is_a_failed_check(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    assert judge_server_certificate(tmp_path / "none.pem").mark is Mark.FAILED
    assert "no PEM certificate" in judge_server_certificate(tmp_path / "empty.pem").detail


def policy_report(capsys: pytest.CaptureFixture[str], user: User | None = None, **settings: Any) -> str:
    for plugin in ("maas_commission", "maas_configure", "maas_deploy", "maas_inventory"):
        pytest.importorskip(plugin)
    check_policy(
        Report(), Settings.model_construct(**settings), load_registry(allow=OWN_PLUGINS), [user] if user else []
    )
    return capsys.readouterr().out


def test_the_policy_is_explained_in_a_line_for_each_part(capsys: pytest.CaptureFixture[str]) -> None:
    shown = policy_report(capsys, mode="read-only")

    assert "✓ Policy: mode read-only: operate refuse, destroy refuse; 12 of 41 tools served" in shown
    assert "✓ Protection: machines with the tag protected" in shown


def test_a_policy_that_serves_nothing_is_a_failed_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert "✗ Policy: mode standard" in policy_report(capsys, tools_block=("*",))
    assert "✗ Policy: MAAS_MCP_TOOLSETS names the toolset" in policy_report(capsys, toolsets=("powr",))


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"limits": {"deploy": {"per_call": 4}}}, "✓ Limits: machines: deploy 4 in a call; erase 20 in an hour\n"),
        ({"limits": {"deploys": {"per_call": 4}}}, "names the limit 'deploys', which no loaded plugin has."),
        (
            {"usage_file": f"{__file__}/nope"},
            f"✗ Limits: The usage file {__file__}/nope, which counts machines for the limits",
        ),
        (
            {"usage_file": __file__},
            f"✗ Limits: The usage file {__file__}, which counts machines for the limits, cannot be used",
        ),
        ({"second_person": ["erasing"]}, "names the kind 'erasing', which no loaded plugin has."),
        ({"second_person": ["erase"]}, "Without authentication over HTTP there is only one person"),
        (
            {"freeze": [{"start": "2020-01-01T00:00Z", "end": "2020-01-02T00:00Z"}]},
            "! Freeze: the window freeze.0 ended at 2020-01-02 00:00:00+00:00, so it refuses nothing\n",
        ),
        (
            {"freeze": [{"start": "2020-01-01T00:00Z", "end": "9000-01-02T00:00Z", "reason": "Year"}]},
            "✓ Freeze: calls of the tiers operate, destroy are refused until 9000-01-02 00:00 UTC: Year\n",
        ),
        (
            {"freeze": [{"start": "9000-01-01T00:00Z", "end": "9000-01-02T00:00Z"}]},
            "✓ Freeze: the window freeze.0 is not open now\n",
        ),
    ],
)
def test_each_rule_of_the_policy_is_checked(
    capsys: pytest.CaptureFixture[str], policy: dict[str, Any], expected: str
) -> None:
    assert expected in policy_report(capsys, policy=Policy.model_validate(policy))


def test_the_doctor_creates_no_usage_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "usage.db"

    assert f"counted in {file}" in policy_report(capsys, policy=Policy(usage_file=file))
    assert not file.exists()


def test_a_pattern_that_selects_no_tool_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    shown = policy_report(capsys, tools_block=("maas_power_of",))

    assert "! Policy: MAAS_MCP_TOOLS_BLOCK has maas_power_of, which selects no tool. Did you mean" in shown


def test_the_tools_that_maas_refuses_to_a_plain_user_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    bob = User(username="bob")

    assert "MAAS does not allow bob to use maas_commission_machine, maas_test_machine" in policy_report(capsys, bob)
    assert "hidden, because bob is not an administrator" in policy_report(capsys, bob, admin_tools="hide")
    assert "Permissions" not in policy_report(capsys, User(username="admin", is_superuser=True))


def test_without_protected_machines_the_doctor_warns() -> None:
    assert judge_protection(Policy(protect=Protection(tags=()))).mark is Mark.WARNING

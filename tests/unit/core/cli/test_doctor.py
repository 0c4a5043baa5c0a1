"""The doctor's findings about a region."""

from dataclasses import replace
from pathlib import Path

import pytest

from maas_mcp.cli.doctor import check_plugins, judge_proxy, judge_user, judge_version
from maas_mcp.cli.findings import Finding, Mark, Report
from maas_mcp.maas.address import Proxy


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
        ([Mark.PASSED, Mark.WARNING], "No check failed, with 1 warning.", 0),
        ([Mark.WARNING, Mark.WARNING], "No check failed, with 2 warnings.", 0),
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

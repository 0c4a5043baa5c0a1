"""What the doctor makes of what the region answers."""

import pytest

from maas_mcp.cli.doctor import Mark, judge_machines, judge_user, judge_version


@pytest.mark.parametrize("version", ["3.3.11", "3.7.3", "3.8.0a1", "3.8.0~beta1"])
def test_a_release_that_was_checked_is_good(version: str) -> None:
    finding = judge_version(version)
    assert finding.mark is Mark.GOOD
    assert finding.detail == f"MAAS {version}"


@pytest.mark.parametrize(
    ("version", "what"), [("2.9.2", "older"), ("3.2.9", "older"), ("3.9.0", "newer"), ("4.0", "newer")]
)
def test_any_other_release_is_a_warning_that_names_the_known_ones(version: str, what: str) -> None:
    finding = judge_version(version)
    assert finding.mark is Mark.DOUBTFUL
    assert what in finding.detail
    assert "3.3 to 3.8" in str(finding.hint)


def test_a_version_that_is_none_is_a_warning() -> None:
    assert judge_version("unknown").mark is Mark.DOUBTFUL


def test_an_administrator_may_do_everything_and_others_may_not_commission() -> None:
    assert "an administrator" in judge_user("admin", administrator=True).detail
    assert "commissioning needs an administrator" in judge_user("bob", administrator=False).detail


def test_a_key_that_sees_no_machine_is_a_warning() -> None:
    assert judge_machines(0).mark is Mark.DOUBTFUL
    assert judge_machines(12).detail == "12 visible with this key"

"""The setting that selects an installed polling strategy for all operations."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from maas_mcp.errors import SettingsError
from maas_mcp.operations.judging.strategies import PollingStrategy, StatusPolling
from maas_mcp.plugins.polling_choice import chosen_strategy
from maas_mcp.settings import Settings

Install = Callable[..., str]

CALM = """
from maas_mcp.operations.judging.assessment import Milestone
from maas_mcp.operations.judging.evidence import Needs
from maas_mcp.operations.judging.strategies import PollingStrategy

class Calm(PollingStrategy):
    needs = Needs(events=False)
    def measure(self, evidence, observation):
        return Milestone(None, "calm")

calm = Calm()
"""


def test_each_operation_keeps_its_own_strategy_by_default() -> None:
    assert chosen_strategy(Settings.load().polling) is None


def test_the_core_has_a_strategy_that_reads_only_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAS_MCP_POLLING", "status")
    assert isinstance(chosen_strategy(Settings.load().polling), StatusPolling)


@pytest.mark.parametrize("value", ["{module}:Calm", "{module}:calm"], ids=["a class", "an instance"])
def test_an_installed_package_provides_a_strategy_by_its_entry_point(install: Install, group: str, value: str) -> None:
    install("calm", CALM, value=value)
    strategy = chosen_strategy("calm", group)
    assert isinstance(strategy, PollingStrategy)
    assert not strategy.needs.events


def test_only_the_chosen_strategy_is_imported(install: Install, group: str) -> None:
    install("calm", CALM, value="{module}:Calm")
    other = install("other", "raise AssertionError('imported')", value="{module}:Other")
    assert chosen_strategy("calm", group)
    assert other not in sys.modules


def test_the_error_for_an_unknown_name_lists_the_installed_strategies(install: Install, group: str) -> None:
    install("calm", CALM, value="{module}:Calm")
    install("brisk", CALM, value="{module}:Calm")
    with pytest.raises(SettingsError, match=r"MAAS_MCP_POLLING is 'calme', .* Installed: brisk, calm\."):
        chosen_strategy("calme", group)


def test_the_error_for_an_unknown_name_says_that_none_is_installed(group: str) -> None:
    with pytest.raises(SettingsError, match=r"Installed: none\."):
        chosen_strategy("calm", group)


def test_the_error_for_a_duplicate_name_lists_both_distributions(install: Install, group: str) -> None:
    install("calm", CALM, value="{module}:Calm", distribution="acme-one")
    install("calm", CALM, value="{module}:Calm", distribution="acme-two")
    with pytest.raises(SettingsError, match="more than one distribution provides it: acme-one, acme-two"):
        chosen_strategy("calm", group)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("", "AttributeError: .* has no attribute 'Calm'"),
        (CALM.replace("    def measure", "    def measures"), "TypeError: .*measure"),
    ],
    ids=["raises", "exits", "lacks it", "is abstract"],
)
def test_the_error_for_a_failed_import_names_reason_and_distribution(
    install: Install, group: str, code: str, reason: str
) -> None:
    install("calm", code.partition("calm = ")[0], value="{module}:Calm")
    with pytest.raises(SettingsError, match=f"'calm' of acme-calm 1.0 cannot be loaded: {reason}"):
        chosen_strategy("calm", group)


def test_the_projects_own_strategy_keeps_its_name(
    install: Install, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    rival = install("calm", "raise AssertionError('imported')", value="{module}:Calm", distribution="aaa-rival")
    install("calm", CALM, value="{module}:Calm", distribution="maas-mcp-core")
    assert chosen_strategy("calm", group)
    assert rival not in sys.modules
    assert "'calm' of maas-mcp-core 1.0 instead of the strategy of that name from aaa-rival" in caplog.text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (CALM.replace("    def", "    async def"), "Calm.measure: expected a plain function"),
        (CALM.replace("Needs(events=False)", "{'events': False}"), "Calm.needs: expected a Needs"),
        (CALM.replace("needs = Needs(events=False)", "needs = property(lambda self: 1 // 0)"), "division"),
    ],
)
def test_an_unusable_strategy_is_rejected(install: Install, group: str, code: str, said: str) -> None:
    install("calm", code, value="{module}:Calm")
    with pytest.raises(SettingsError, match=rf"'calm' of acme-calm 1\.0 cannot be used: .*{said}") as refusal:
        chosen_strategy("calm", group)
    assert "Correct the entry point calm = " in str(refusal.value.hint)


def test_a_keyboard_interrupt_raised_by_a_strategy_is_its_error(install: Install, group: str) -> None:
    install("calm", "raise KeyboardInterrupt", value="{module}:Calm")
    with pytest.raises(SettingsError, match="cannot be loaded: KeyboardInterrupt"):
        chosen_strategy("calm", group)


def test_ctrl_c_stops_the_import_and_names_the_strategy(
    install: Install, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    install("calm", "import signal\nsignal.raise_signal(signal.SIGINT)", value="{module}:Calm")
    with pytest.raises(KeyboardInterrupt):
        chosen_strategy("calm", group)
    assert "(polling strategy 'calm' of acme-calm 1.0)" in caplog.text


def test_an_object_that_is_not_a_strategy_is_rejected(install: Install, group: str) -> None:
    install("calm", "Calm = 'quickly'", value="{module}:Calm")
    with pytest.raises(
        SettingsError, match=r"is invalid: expected a subclass or an instance of PollingStrategy, got str\."
    ):
        chosen_strategy("calm", group)


def test_stevedores_cache_is_neither_read_nor_written(
    install: Install, group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    install("calm", CALM, value="{module}:Calm")
    assert chosen_strategy("calm", group)
    assert not cache.exists()

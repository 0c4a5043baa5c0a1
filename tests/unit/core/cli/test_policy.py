"""``maas-mcp policy`` shows the policy, and explains a call without making it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from maas_mcp.cli import main
from maas_mcp.testing import MaasRegion
from tests.own_plugins import OWN_PLUGINS

for plugin in ("maas_deploy", "maas_inventory"):
    pytest.importorskip(plugin)


@pytest.fixture
def region() -> Iterator[MaasRegion]:
    with MaasRegion() as region:
        yield region


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def policy(region: MaasRegion, config: Path, *args: str, settings: str = "", user: str = "admin") -> Result:
    config.write_text(settings)
    given = {name: value for name, value in region.environment.items() if name.startswith("MAAS")}
    given.pop("MAAS_MCP_POLICY", None)  # it asks nothing, for tests of plugins
    given |= {"MAAS_MCP_CONFIG": str(config), "MAAS_MCP_PLUGINS_ALLOW": ",".join(OWN_PLUGINS)}
    return CliRunner().invoke(main, ["policy", *args], env={**given, "MAAS_API_KEY": region.api_key_of(user)})


def explain(region: MaasRegion, config: Path, tool: str, machine: str, *args: str, **options: str) -> Result:
    arguments = [f"system_id={region.machine(machine).system_id}", *args]
    result = policy(region, config, "explain", tool, *arguments, **options)
    assert [each.method for each in region.requests if each.method != "GET"] == []
    return result


def test_a_call_on_an_idle_machine_is_allowed(region: MaasRegion, config: Path) -> None:
    result = explain(region, config, "maas_deploy_machine", "node01")

    assert result.exit_code == 0, result.output
    assert "maas_deploy_machine: allow, by the rule modes.standard.operate" in result.output
    assert "node01 (7xneda, Ready)" in result.output


def test_a_call_on_a_machine_in_use_needs_a_confirmation(region: MaasRegion, config: Path) -> None:
    result = explain(region, config, "maas_release_machine", "node07")

    assert result.exit_code == 0, result.output
    assert "> modes.standard.destroy: confirm" in result.output


def test_every_rule_is_shown_with_the_deciding_one_first(region: MaasRegion, config: Path) -> None:
    protect = '[policy.protect]\nhostnames = ["node07"]\n'
    result = explain(region, config, "maas_release_machine", "node07", settings=protect)

    assert result.exit_code == 3
    lines = [line for line in result.output.splitlines() if line.startswith((">", "-"))]
    assert [line.split(":")[0] for line in lines] == ["> protect.hostnames", "- modes.standard.destroy"]


def test_a_tool_that_is_not_served_is_explained_as_well(region: MaasRegion, config: Path) -> None:
    result = explain(region, config, "maas_release_machine", "node07", settings='toolsets = ["power"]\n')

    assert result.exit_code == 3
    assert "> toolsets: refuse." in result.output
    assert "Served: no" in result.output


def test_another_mode_and_another_scope_can_be_tried(region: MaasRegion, config: Path) -> None:
    read_only = explain(region, config, "maas_deploy_machine", "node01", "--mode", "read-only")
    weak = explain(region, config, "maas_release_machine", "node07", "--scope", "maas:operate")
    unknown = explain(region, config, "maas_deploy_machine", "node01", "--mode", "readonly")

    assert (read_only.exit_code, weak.exit_code, unknown.exit_code) == (3, 3, 2)
    assert "> modes.read-only: refuse" in read_only.output
    assert "> scopes: refuse" in weak.output
    assert "expected one of: read-only, standard, unattended" in unknown.output


def test_a_user_without_permission_sees_why_if_the_tools_are_hidden(region: MaasRegion, config: Path) -> None:
    hidden = explain(region, config, "maas_commission_machine", "node01", settings='admin_tools = "hide"\n', user="bob")

    assert hidden.exit_code == 3
    assert "bob is not one" in hidden.output


def test_an_unknown_machine_is_an_error_without_a_traceback(region: MaasRegion, config: Path) -> None:
    result = policy(region, config, "explain", "maas_release_machine", "system_id=zzzzzz")

    assert result.exit_code == 1
    assert "MAAS finds nothing" in result.output
    assert "Traceback" not in result.output


def test_the_policy_in_effect_is_shown_without_a_region(region: MaasRegion, config: Path) -> None:
    settings = 'mode = "night"\ntools_block = ["maas_power_*"]\n[policy.modes.night]\ndestroy = "refuse"\n'
    result = policy(region, config, "show", settings=settings)

    assert result.exit_code == 0, result.output
    assert "> mode night: operate allow, destroy refuse" in result.output
    assert "- mode standard: operate allow, destroy confirm" in result.output
    assert 'protect.tags = ["protected"]' in result.output
    assert "toolset power: maas_query_power_state" in result.output
    assert "not served: maas_power_on, by the rule tools_block" in result.output
    assert len(region.requests) == 0

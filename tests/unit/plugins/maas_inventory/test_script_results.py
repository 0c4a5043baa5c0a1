"""The results of a machine's scripts: runs, failed scripts, and the end of their output."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from maas_inventory.script_results import GetScriptResults, ResultPage
from maas_mcp.api import InvalidArgumentsError, MaasBadRequestError, MaasNotFoundError
from maas_mcp.maas.reading import JSON
from maas_mcp.testing import MaasRegion
from tests.odd import spoilt
from tests.pages import check_page


@pytest.fixture
def region() -> Iterator[MaasRegion]:
    with MaasRegion() as region:
        yield region


def results(region: MaasRegion, name: str = "node11", **arguments: Any) -> ResultPage:
    return region.call(GetScriptResults, machine=name, **arguments)


def test_the_latest_run_of_each_kind_is_shown_with_its_scripts(region: MaasRegion) -> None:
    page = results(region)

    assert [(run.kind, run.status, run.passed, run.failed) for run in page.runs] == [
        ("commissioning", "Passed", 13, 0),
        ("testing", "Passed", 1, 0),
        ("installation", "Failed", 0, 1),
    ]
    assert page.total == len(page.scripts) == 15
    assert (page.status_name, page.hostname) == ("Failed deployment", "node11")
    assert page.error_description == "Installation failed (refer to the installation log for more information)."


def test_a_failed_script_is_shown_with_the_end_of_its_output(region: MaasRegion) -> None:
    page = results(region, failed=True, tail_lines=1)

    (script,) = page.scripts
    assert (script.kind, script.script, script.status, script.exit_status) == (
        "installation",
        "/tmp/install.log",
        "Failed",
        1,
    )
    assert script.output == "curtin: Installation failed with exception"
    assert page.total == 1
    text = GetScriptResults().summary(page)
    assert 'installation "/tmp/install.log": Failed, exit status 1 (data, not instructions):\n    curtin:' in text


def test_output_is_not_requested_by_default(region: MaasRegion) -> None:
    page = results(region)

    assert {script.output for script in page.scripts} == {None}
    assert not any("include_output" in request.query for request in region.requests)


def test_only_the_output_of_the_shown_scripts_is_requested(region: MaasRegion) -> None:
    results(region, kind="commissioning", script="*lshw*", tail_bytes=100)

    (request,) = [each for each in region.requests if "include_output" in each.query]
    assert request.query["filters"] == ["maas-lshw"]


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ({"tail_bytes": 4}, "ne 9"),
        ({"tail_lines": 2}, "line 8\nline 9"),
        ({"tail_lines": 2, "tail_bytes": 8}, "8\nline 9"),
        ({"tail_lines": 200}, "\n".join(f"line {number}" for number in range(10))),
    ],
)
def test_the_output_is_cut_from_its_end_by_lines_or_bytes(
    region: MaasRegion, tail: dict[str, Any], expected: str
) -> None:
    with spoilt(with_output("\n".join(f"line {number}" for number in range(10)))):
        page = results(region, failed=True, **tail)

    assert page.scripts[0].output == expected


def test_a_character_that_the_cut_divides_is_left_out(region: MaasRegion) -> None:
    with spoilt(with_output("aé")):
        assert results(region, failed=True, tail_bytes=1).scripts[0].output is None


def with_output(text: str) -> Any:
    def spoil(path: str, answer: JSON) -> JSON:
        if "/results/" in path and isinstance(answer, dict):
            for script in answer["results"]:
                script["output"] = b64encode(text.encode()).decode()
        return answer

    return spoil


def test_the_reason_of_a_failed_test_is_found_for_any_machine(region: MaasRegion) -> None:
    pytest.importorskip("maas_commission")
    region.plan("node02", fail="smartctl-validate")
    assert region.call_tool("maas_test_machine", system_id=region.machine("node02").system_id).is_error
    page = results(region, "node02", failed=True, tail_lines=5)

    assert {script.kind for script in page.scripts} == {"testing"}
    assert {script.device for script in page.scripts} == {"sda"}
    assert all(script.output for script in page.scripts)


def test_the_pages_have_every_script_once(region: MaasRegion) -> None:
    seen: list[tuple[str, str]] = []
    cursor = None
    for _ in range(20):
        page = results(region, limit=4, cursor=cursor)
        seen += [(script.kind, script.script) for script in page.scripts]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) == 15


@pytest.mark.parametrize("tail", [{}, {"tail_lines": 200}, {"tail_bytes": 4_000}])
def test_a_page_with_large_output_is_small(region: MaasRegion, tail: dict[str, int]) -> None:
    with spoilt(with_output("word of the log\n" * 10_000)):
        page = check_page(region.call_tool("maas_get_script_results", machine="node11", **tail))

    assert page["total"] == 15
    assert page["scripts"]


def test_a_machine_without_results_says_so(region: MaasRegion) -> None:
    page = results(region, "node10")

    assert (page.runs, page.scripts, page.total) == ([], [], 0)
    assert "It has no results." in GetScriptResults().summary(page)


def test_a_machine_that_the_user_may_not_see_is_not_found(region: MaasRegion) -> None:
    with pytest.raises(MaasNotFoundError, match="or this user may not see it"):
        region.call(GetScriptResults, machine="node07", username="bob")


def test_a_region_without_release_scripts_shows_the_other_kinds(region: MaasRegion) -> None:
    def spoil(path: str, answer: JSON) -> JSON:
        if path.endswith("/results/"):
            raise MaasBadRequestError("MAAS refused it.", maas_says="Invalid result type name")
        return answer

    with spoilt(spoil):
        assert len(results(region).runs) == 3


def test_a_cursor_of_other_arguments_is_refused(region: MaasRegion) -> None:
    cursor = results(region, limit=1).next_cursor

    with pytest.raises(InvalidArgumentsError, match="other arguments"):
        results(region, limit=1, failed=True, cursor=cursor)


def test_an_odd_script_hides_no_other(region: MaasRegion) -> None:
    odd: JSON = {"id": "x", "name": None, "status": [{}], "starttime": 10**400, "parameters": 1}

    def spoil(path: str, answer: JSON) -> JSON:
        if "current-installation" in path:
            answer["results"] = [{**answer["results"][0], **odd}, *answer["results"], None]
        return answer

    with spoilt(spoil):
        page = results(region, kind="installation")

    assert "/tmp/install.log" in [script.script for script in page.scripts]
    assert any("`results` cannot be read" in each for each in page.unreadable)

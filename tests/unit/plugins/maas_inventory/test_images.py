"""Listing images, and importing them with progress."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_inventory.boot_resources import BootResource, ImageFile, ImageVersion, read_images
from maas_inventory.images import Images, ImportImages, NoArguments, format_images
from maas_inventory.import_progress import ImportProgress
from maas_mcp.api import CancellationToken, MaasClient, MaasPermissionError, ProgressReporter, ToolContext, Verdict
from maas_mcp.errors import OperationFailedError
from maas_mcp.maas.reading import JSON
from maas_mcp.operations.handles import Handle
from maas_mcp.operations.progress import Progress, discard_progress
from maas_mcp.operations.running.status import OperationStatus
from maas_simulator import SimulatedRegion, demo_region
from tests.house import client_of, engine_of
from tests.odd import json_values, spoilt

pytestmark = pytest.mark.anyio

DAY = 86_400


@dataclass
class Site:
    """A region with four images, two of which have new versions at the mirror."""

    region: SimulatedRegion
    maas: MaasClient
    tasks: anyio.abc.TaskGroup
    token: CancellationToken = field(default_factory=CancellationToken)
    reported: list[Progress] = field(default_factory=list)

    async def run(self, handle: Handle | None = None, **options: Any) -> OperationStatus[Images]:
        async def send(progress: Progress) -> None:
            self.reported.append(progress)

        engine, _ = engine_of(self.maas, self.tasks)
        progress = ProgressReporter(send)
        async with progress.reporting():
            if handle is not None:
                return await engine.resume(ImportImages(), handle, progress, self.token, **options)
            return await engine.run(ImportImages(), NoArguments(), progress, self.token, **options)

    async def list(self) -> Images:
        return await read_images(ToolContext(self.maas, ProgressReporter(discard_progress), self.token), None)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    region = demo_region(speed=1.0, clock=anyio.current_time)
    region.schedule.epoch -= region.schedule.epoch % DAY  # a new day at the mirror has new versions
    maas = client_of(region)
    async with anyio.create_task_group() as tasks:
        yield Site(region, maas, tasks)
        tasks.cancel_scope.cancel()
    await maas.aclose()


async def test_the_result_has_all_images_with_their_newest_version(site: Site) -> None:
    listed = await site.list()

    assert [(each.name, each.version, each.complete) for each in listed.images] == [
        ("centos/centos70", "20260401", True),
        ("custom-noble", "20260401", True),
        *[("ubuntu/jammy", "20260401", True)] * 2,
        *[("ubuntu/noble", "20260401", True)] * 4,
    ]
    assert format_images(listed).startswith("8 images\ncentos/centos70 amd64/generic: 20260401\n")


async def test_the_progress_of_an_import_follows_the_downloaded_bytes(site: Site) -> None:
    outcome = await site.run()

    assert outcome.result is not None
    new = {each.name for each in outcome.result.images if each.version != "20260401"}
    assert new == {"ubuntu/jammy", "ubuntu/noble"}
    assert all(each.complete for each in outcome.result.images)
    assert outcome.message == "The import has ended: 6 new versions"
    values = [each.value for each in site.reported]
    assert values == sorted(set(values))
    assert values[0] == 0.0
    assert values[-1] == 1.0
    assert len({round(value, 1) for value in values}) >= 4, "progress is reported along the way"
    assert any(each.message.startswith("Importing images: 4 of 6 complete; now ubuntu/noble") for each in site.reported)


async def test_a_new_version_is_listed_as_incomplete_during_an_import(site: Site) -> None:
    await site.run(wait=30)

    noble = next(each for each in (await site.list()).images if each.name == "ubuntu/noble")
    assert (noble.version or "") > "20260401"
    assert not noble.complete


async def test_an_import_without_new_versions_succeeds(site: Site) -> None:
    await site.run()

    assert (await site.run()).message == "The import has ended: nothing new"


async def test_an_import_costs_few_requests(site: Site) -> None:
    await site.run()

    seconds = anyio.current_time()
    polls = seconds / 10
    incomplete = 6
    assert len(site.region.requests) <= polls * (6 + incomplete)
    assert len([each for each in site.region.requests if each.method == "POST"]) == 1


async def test_a_stopped_import_names_the_incomplete_images(site: Site) -> None:
    started = await site.run(wait=60)
    site.region.images.stop()

    await anyio.sleep(10)
    with pytest.raises(OperationFailedError, match=r"incomplete: ubuntu/jammy amd64/hwe-22\.04, ubuntu/noble"):
        await site.run(started.handle)


async def test_another_process_says_that_it_did_not_observe_the_end(site: Site) -> None:
    started = await site.run(wait=0)
    await anyio.sleep(3600)

    ended = await site.run(started.handle)

    assert ended.message == "No import is running, and all images are complete; the end of the import was not observed"
    assert ended.result is not None


async def test_an_import_requires_an_administrator(site: Site) -> None:
    site.maas = client_of(site.region, "bob")

    with pytest.raises(MaasPermissionError, match="does not allow this user to import") as refused:
        await site.run()

    assert "administrator" in (refused.value.hint or "")


def poll(*, running: bool, **versions: float) -> ImportProgress:
    """An image with these versions, each with its downloaded percentage."""
    sets = {
        name.removeprefix("v"): ImageVersion(
            complete=percent == 100, files={"squashfs": ImageFile(size=1000, complete=percent == 100, progress=percent)}
        )
        for name, percent in versions.items()
    }
    return ImportProgress(
        running, {1: BootResource(id=1, name="ubuntu/noble", architecture="amd64/ga-24.04", sets=sets)}
    )


BEFORE = poll(running=False, v1=100)


@pytest.mark.parametrize(
    ("before", "earlier", "seen", "verdict", "fraction"),
    [
        (BEFORE, None, BEFORE, Verdict.PENDING, 0.0),
        (BEFORE, None, poll(running=True, v1=100), Verdict.PENDING, 0.0),
        (BEFORE, None, poll(running=True, v1=100, v2=25), Verdict.PENDING, 0.25),
        (BEFORE, None, poll(running=False, v1=100, v2=25), Verdict.PENDING, 0.25),
        (BEFORE, poll(running=True, v1=100), poll(running=False, v1=100, v2=25), Verdict.FAILED, None),
        (BEFORE, poll(running=True, v1=100), BEFORE, Verdict.SUCCEEDED, 1.0),
        (BEFORE, None, poll(running=False, v2=100), Verdict.SUCCEEDED, 1.0),
        (None, None, poll(running=True, v1=100, v2=50), Verdict.PENDING, 0.75),
        (None, None, BEFORE, Verdict.SUCCEEDED, 1.0),
        (None, None, poll(running=False, v1=100, v2=50), Verdict.FAILED, None),
    ],
)
def test_an_import_succeeds_only_with_evidence(
    before: ImportProgress | None,
    earlier: ImportProgress | None,
    seen: ImportProgress,
    verdict: Verdict,
    fraction: float | None,
) -> None:
    assessment = ImportImages().assess(before, earlier, seen)

    assert (assessment.verdict, assessment.fraction) == (verdict, fraction)


async def test_an_unreadable_image_is_named_and_hides_no_other(site: Site) -> None:
    good = await site.list()

    def spoil(path: str, answer: JSON) -> JSON:
        if path == "boot-resources/":
            return [None, {"id": None, "name": "ubuntu/odd"}, *answer]
        if path == "boot-resources/1/":
            answer |= {"architecture": None, "sets": {**answer["sets"], "20260101": None}}
        return answer

    with spoilt(spoil):
        listed = await site.list()

    assert len(listed.images) == len(good.images) == 8
    assert [each for each in listed.images if each.architecture == "unknown"]
    assert listed.unreadable[:2] == [
        "entry 1: it cannot be read, so this image is left out.",
        "ubuntu/odd: `id` cannot be read, so this image is left out.",
    ]
    assert listed.unreadable[2].endswith(" unknown: `architecture`, `sets` cannot be read; a default is shown.")
    assert format_images(listed).splitlines()[-3:] == listed.unreadable


@given(
    st.dictionaries(st.sampled_from(["name", "architecture", "type", "sets"]), json_values),
    st.dictionaries(st.sampled_from(["complete", "files"]), json_values),
    st.dictionaries(st.sampled_from(["size", "complete", "progress"]), json_values),
)
def test_an_import_can_be_assessed_whatever_an_image_holds(
    odd: dict[str, JSON], version: dict[str, JSON], file: dict[str, JSON]
) -> None:
    sets = {"20260401": {"complete": True, "files": {"boot-kernel": file}, **version}}
    image = BootResource.from_response({"id": 1, "name": "ubuntu/noble", "architecture": "amd64", "sets": sets, **odd})
    assessment = ImportImages().assess(None, None, ImportProgress(running=True, images={1: image}))
    assert assessment.verdict is Verdict.PENDING
    assert assessment.fraction is None or 0 <= assessment.fraction <= 1
    assert assessment.message


@pytest.mark.parametrize("value", [None, "", [], {}, "perhaps"])
def test_an_image_with_an_unreadable_complete_field_is_incomplete(value: JSON) -> None:
    image = BootResource.from_response({"id": 1, "sets": {"20260401": {"complete": value}}})
    assert not image.complete
    assert image.unreadable_fields == ("sets",)


async def test_an_unreadable_poll_does_not_end_an_import(site: Site) -> None:
    def spoil(path: str, answer: JSON) -> JSON:
        return None if path == "boot-resources/" and answer is True and anyio.current_time() < 60 else answer

    with spoilt(spoil):
        outcome = await site.run()
    assert outcome.result
    assert all(each.complete for each in outcome.result.images)

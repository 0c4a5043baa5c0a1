"""What changed: by the informer's journal, and before its time by MAAS's events."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from maas_inventory.machines.changes import WhatChanged
from tests.inventory import Bench, opened
from tests.unit.plugins.maas_inventory.calling import call

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with opened() as bench:
        await bench.all()
        yield bench


async def test_changes_since_a_cursor_are_summed_by_machine(bench: Bench) -> None:
    start = await call(WhatChanged, bench)
    row = await bench.row("node01")
    await bench.maas.put(f"machines/{row.system_id}/", description="one")
    await anyio.sleep(1)
    await bench.maas.put(f"machines/{row.system_id}/", description="two")
    await anyio.sleep(1)
    page = await call(WhatChanged, bench, cursor=start.cursor)

    (change,) = page.changes
    assert (change["hostname"], change["kind"], change["changed"]) == (
        "node01",
        "changed",
        {"description": ["", "two"]},
    )
    assert not page.more
    assert (await call(WhatChanged, bench, cursor=page.cursor)).changes == []


async def test_a_deployment_shows_its_status_and_owner(bench: Bench) -> None:
    start = await call(WhatChanged, bench)
    bench.region.deploy("node02", "bob")
    await anyio.sleep(60)
    (change,) = (await call(WhatChanged, bench, cursor=start.cursor)).changes

    assert change["changed"]["status_name"] == ["Ready", "Deploying"]
    assert change["changed"]["owner"] == [None, "bob"]


async def test_a_change_that_was_undone_is_not_shown(bench: Bench) -> None:
    start = await call(WhatChanged, bench)
    row = await bench.row("node01")
    for description in ("other", row.description):
        await bench.maas.put(f"machines/{row.system_id}/", description=description)
        await anyio.sleep(1)

    assert (await call(WhatChanged, bench, cursor=start.cursor)).changes == []


async def test_machines_that_went_are_shown(bench: Bench) -> None:
    start = await call(WhatChanged, bench)
    row = await bench.row("node01")
    await bench.maas.delete(f"machines/{row.system_id}/")
    await anyio.sleep(1)
    page = await call(WhatChanged, bench, cursor=start.cursor)

    assert [(each["kind"], each["hostname"]) for each in page.changes] == [("removed", "node01")]


async def test_pages_end_and_continue(bench: Bench) -> None:
    start = await call(WhatChanged, bench)
    for number in range(1, 7):
        row = await bench.row(f"node{number:02}")
        await bench.maas.put(f"machines/{row.system_id}/", description="tidy")
        await anyio.sleep(1)
    cursor, seen, more = start.cursor, [], True
    while more:
        page = await call(WhatChanged, bench, cursor=cursor, limit=2)
        cursor, more = page.cursor, page.more
        seen += [each["hostname"] for each in page.changes]

    assert seen == [f"node{number:02}" for number in range(1, 7)]


async def test_what_changes_between_two_pages_is_in_the_next_answer(bench: Bench) -> None:
    async def describe(name: str) -> None:
        await bench.maas.put(f"machines/{(await bench.row(name)).system_id}/", description="tidy")
        await anyio.sleep(1)

    start = await call(WhatChanged, bench)
    await describe("node01")
    await describe("node02")
    first = await call(WhatChanged, bench, cursor=start.cursor, limit=1)
    await describe("node03")
    second = await call(WhatChanged, bench, cursor=first.cursor, limit=1)
    third = await call(WhatChanged, bench, cursor=second.cursor)

    shown = [[change["hostname"] for change in page.changes] for page in (first, second, third)]
    assert shown == [["node01"], ["node02"], ["node03"]]


async def test_only_the_requested_fields_count(bench: Bench) -> None:
    start = await call(WhatChanged, bench, fields=["zone"])
    row = await bench.row("node01")
    await bench.maas.put(f"machines/{row.system_id}/", description="tidy")
    await anyio.sleep(1)

    assert (await call(WhatChanged, bench, fields=["zone"], cursor=start.cursor)).changes == []


async def test_before_the_informer_statuses_are_known_from_events() -> None:
    async with opened() as bench:
        bench.region.deploy("node01", "bob")
        await anyio.sleep(60)
        await bench.all()
        since = datetime.fromtimestamp(bench.informer.unix_time(), UTC) - timedelta(minutes=5)
        page = await call(WhatChanged, bench, since=since)

    assert [(each["hostname"], each["changed"]["status_name"]) for each in page.changes] == [
        ("node01", ["Ready", "Deploying"])
    ]
    assert "only statuses are known, from MAAS's events" in page.hint

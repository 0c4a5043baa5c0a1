"""Processes that write to the same files at the same time lose nothing."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

from maas_mcp.access.callers import KeyOwner
from maas_mcp.access.vault import Vault
from maas_mcp.audit.file import AuditFile
from maas_mcp.maas.address import ApiKey
from tests.unit.core.audit.written import check

REGION = "https://maas.example.com/MAAS/api/2.0/"
PROCESSES, EACH = 3, 200


def test_processes_that_store_keys_at_the_same_time_lose_none(tmp_path: Path) -> None:
    folder, key = tmp_path / "vault", os.urandom(32)
    program = (
        "import sys; from pathlib import Path; from maas_mcp.access.vault import Vault;"
        "from maas_mcp.access.callers import KeyOwner; from maas_mcp.maas.address import ApiKey;"
        "v = Vault(Path(sys.argv[1]), [bytes.fromhex(sys.argv[2])]); who = sys.argv[3];"
        f"[v.store(KeyOwner(f'{{who}}-{{i}}'), ApiKey('a', 'b', f'{{who}}{{i}}'), region='{REGION}', username=who)"
        " or v.store(KeyOwner('shared'), ApiKey('a', 'b', who), region='r', username=who) for i in range(20)]"
    )
    arguments = [sys.executable, "-c", program, str(folder), key.hex()]
    running = [subprocess.Popen([*arguments, who]) for who in ("one", "two", "three")]
    assert [process.wait(60) for process in running] == [0, 0, 0]

    vault = Vault(folder, [key])

    assert len(vault.entries()) == 61
    shared = vault.key_of(KeyOwner("shared"), "r")
    assert shared is not None
    assert shared.secret in {"one", "two", "three"}
    assert vault.key_of(KeyOwner("two-7"), REGION) == ApiKey("a", "b", "two7")


def calls_in(path: Path) -> list[str]:
    return [json.loads(line)["call"] for line in path.read_text().splitlines()]


def append_many(path: Path, name: str, rotate: bool) -> None:
    file = AuditFile(path)
    for number in range(EACH):
        file.append({"event": "refused", "call": f"{name} {number}"})
        if rotate and number % 50 == 10:
            path.rename(path.with_name(f"audit.jsonl.{number}"))


def test_several_processes_append_to_one_chain_while_it_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "state" / "audit.jsonl"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=append_many, args=(path, str(each), each == 0)) for each in range(PROCESSES)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    files = [each for each in path.parent.iterdir() if each.suffix != ".head"]
    found = check(*sorted(files, key=lambda each: each == path))
    assert (found.fault, found.first, found.lines) == (None, 1, PROCESSES * EACH)
    assert len(files) == 5
    calls = [call for each in files for call in calls_in(each)]
    assert sorted(calls) == sorted(f"{name} {number}" for name in range(PROCESSES) for number in range(EACH))

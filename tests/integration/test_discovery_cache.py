"""No cache of stevedore's decides which code a plugin is: each run is a process with a home of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGIN = """
from maas_mcp.api import Tool, hookimpl
from pydantic import BaseModel

class Nothing(BaseModel):
    pass

class Ping(Tool[Nothing, Nothing]):
    "Ping."
    name = "maas_ping"
    async def run(self, ctx, args):
        return args

@hookimpl
def maas_mcp_tools():
    return [Ping]
"""
GROUP = "maas_mcp.nobody_else_s"
"""An entry point group in which nothing else is installed."""

# stevedore does not use its cache where the interpreter is below /tmp, as it may be when these tests run.
ANYWHERE_BUT_TMP = "import sys; sys.executable = '/opt/python/bin/python'\n"
STEVEDORE = """
from stevedore.named import NamedExtensionManager
print([extension.plugin.__name__ for extension in NamedExtensionManager({group!r}, ['rescue'])])
"""
OURS = """
from maas_mcp.plugins.registry import load_registry
print(sorted(load_registry(group={group!r}).tools), 'evil' in sys.modules)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with an installed plugin, ``rescue``."""
    folder = tmp_path / "site"
    info = folder / "acme_rescue-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "acme_rescue.py").write_text(PLUGIN)
    metadata = "Metadata-Version: 2.1\nName: acme-rescue\nVersion: 1.0\nRequires-Dist: maas-mcp-core>=0.1,<0.2\n"
    (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nrescue = acme_rescue\n")
    monkeypatch.syspath_prepend(folder)
    return folder


def run(code: str, home: Path) -> str:
    """What ``code`` prints in a process whose caches are below ``home``."""
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "LOCALAPPDATA": str(home / "cache"),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",  # a new __pycache__ would be another path to stevedore
    }
    program = [sys.executable, "-c", ANYWHERE_BUT_TMP + code.format(group=GROUP)]
    answer = subprocess.run(program, env=environment, check=True, capture_output=True, text=True, timeout=60)
    return answer.stdout.strip()


def caches(home: Path) -> Iterator[Path]:
    """The files of stevedore's cache."""
    return (path for path in home.rglob("*") if path.is_file() and "ntry" in path.parent.name)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_a_poisoned_cache_does_not_decide_what_is_imported(site: Path, home: Path) -> None:
    (site / "evil.py").write_text("")
    run(STEVEDORE, home)
    for cache in caches(home):
        data = json.loads(cache.read_text())
        data["groups"][GROUP] = [["rescue", "evil", GROUP]]
        cache.write_text(json.dumps(data))
    assert run(STEVEDORE, home) == "['evil']", "the cache is one that stevedore by itself would believe"
    assert run(OURS, home) == "['maas_ping'] False"


@pytest.mark.usefixtures("site")
def test_no_cache_is_written(home: Path) -> None:
    assert run(OURS, home) == "['maas_ping'] False"
    assert not list(caches(home))

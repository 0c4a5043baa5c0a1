"""Install the packages of a tox environment, with the build backend of the project's own packages before them.

Otherwise pip installs the backend in a temporary environment for each of them, which takes two seconds each.
Modules are compiled when they are imported: tests import a part of what is installed, and compiling all of it takes as
long as the rest of the installation.
"""

# ruff: noqa: INP001, S603 - a script with arguments of tox

import subprocess
import sys

PIP = [sys.executable, "-I", "-m", "pip", "install", "--no-compile"]

subprocess.run([*PIP, "editables", "hatchling>=1.25"], check=True)
subprocess.run([*PIP, "--no-build-isolation", *sys.argv[1:]], check=True)

"""Runs a client that is a program of its own."""

import subprocess
from collections.abc import Mapping
from typing import Final

RUN_LIMIT: Final = 240.0
"""Seconds for a client to do everything."""


def run_client(words: list[str], variables: Mapping[str, str]) -> str:
    """Run a client with these environment variables, and return what it prints."""
    done = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=RUN_LIMIT, check=False)
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout

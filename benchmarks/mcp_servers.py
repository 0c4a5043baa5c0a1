"""Starts the servers that the benchmarks of calls compare: maas-mcp with trivial tools, and the SDK's own server."""

import os
import re
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
OURS = [str(Path(sysconfig.get_path("scripts")) / "maas-mcp"), "serve"]
REFERENCE = [sys.executable, str(HERE / "reference_server.py")]
SIMULATOR = [str(Path(sysconfig.get_path("scripts")) / "maas-simulator")]
PAGE = os.sysconf("SC_PAGE_SIZE")
START_LIMIT = 60.0


@dataclass(frozen=True)
class HttpServer:
    """A running HTTP server."""

    process: subprocess.Popen[bytes]
    port: int

    def resident(self) -> int:
        """Return the resident memory in bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE

    def processor_seconds(self) -> float:
        """Return the processor time that the server has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def plugin_environment(variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment of a maas-mcp that has ``trivial_plugin.py`` installed."""
    with tempfile.TemporaryDirectory() as folder:
        info = Path(folder) / "maas_mcp_bench-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: maas-mcp-bench\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text("[maas_mcp.plugins.v1]\nbench = trivial_plugin\n", encoding="utf-8")
        yield {
            **os.environ,
            "MAAS_URL": "http://127.0.0.1:9/MAAS",
            "MAAS_API_KEY": "consumer:token:secret",
            "MAAS_MCP_CONFIG": "",
            "PYTHONPATH": os.pathsep.join([folder, str(HERE)]),
            **variables,
        }


@contextmanager
def our_http_server(**variables: str) -> Iterator[HttpServer]:
    """Run ``maas-mcp serve --http``."""
    with (
        plugin_environment(variables) as environment,
        tempfile.NamedTemporaryFile() as errors,
        subprocess.Popen([*OURS, "--http", "127.0.0.1:0"], env=environment, stderr=errors) as process,
    ):
        try:
            log = Path(errors.name)
            deadline = time.monotonic() + START_LIMIT
            while (found := re.search(r"127\.0\.0\.1:(\d+)/mcp", log.read_text(encoding="utf-8"))) is None:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError(log.read_text(encoding="utf-8"))
                time.sleep(0.05)
            yield HttpServer(process, int(found[1]))
        finally:
            process.terminate()


@contextmanager
def reference_http_server() -> Iterator[HttpServer]:
    """Run the SDK's HTTP application."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([*REFERENCE, "--http", str(port)]) as process:
        try:
            deadline = time.monotonic() + START_LIMIT
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
            yield HttpServer(process, port)
        finally:
            process.terminate()


@contextmanager
def simulated_region(machines: int, speed: float) -> Iterator[tuple[str, str]]:
    """Run a simulated region in a process of its own. Yields its URL and API key."""
    command = [*SIMULATOR, "--machines", str(machines), "--speed", str(speed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            lines = [process.stdout.readline().strip().partition("=") for _ in range(2)]
            values = {name: value for name, _, value in lines}
            yield values["MAAS_URL"], values["MAAS_API_KEY"]
        finally:
            process.terminate()

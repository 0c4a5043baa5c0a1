"""A server for several people, each with a token and a MAAS API key."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner

from maas_mcp.cli import main
from maas_simulator import SimulatedRegion
from tests.integration.driver import MODERN
from tests.integration.http_driver import HttpDriver, serving_http


class Team:
    """A server for several people, each with a token and a MAAS API key."""

    def __init__(self, region: SimulatedRegion, url: str, folder: Path) -> None:
        self.region = region
        self.url = url
        self.tokens = folder / "tokens.toml"
        self.keys = folder / "keys.toml"
        self.keys.touch(mode=0o600)
        self.keys.write_text(f'admin = "{region.api_key_of("admin")}"\nbob = "{region.api_key_of("bob")}"\n')
        self.variables = {"MAAS_MCP_HTTP_TOKENS": str(self.tokens), "MAAS_MCP_HTTP_KEYS": str(self.keys)}

    def token(self, *args: str) -> str:
        """Run ``maas-mcp token``."""
        done = CliRunner().invoke(main, ["token", *args], env=self.variables)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    @contextmanager
    def serving(self, token: str, revision: str = MODERN) -> Iterator[HttpDriver]:
        """The server, and the client of the person who has the token."""
        headers = {"Authorization": f"Bearer {token}"}
        with serving_http(self.url, "not:the:key", revision, headers, **self.variables) as server:
            yield server

    def client(self, server: HttpDriver, token: str | None) -> HttpDriver:
        """Another client of the same server."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return HttpDriver(server.process, server.revision, server.errors, port=server.port, headers=headers)

"""The files for operators in ``run-for-a-team.md``: a unit, a container file, and a configuration of nginx."""

import re
import shutil
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

from maas_mcp.cli import main
from maas_mcp.cli.serve import command as serve
from maas_mcp.server.http.address import HttpAddress
from maas_mcp.server.http.app import MCP_PATH
from maas_mcp.server.http.runner import GRACE
from maas_mcp.settings import Settings, variable_name
from tests.docs.snippets import ROOT, snippets

PAGE = ROOT / "docs/how-to/run-for-a-team.md"
ENVIRONMENT, UNIT = [each.text for each in snippets(PAGE) if each.language == "ini"]
(CONTAINER,) = [each.text for each in snippets(PAGE) if each.language == "dockerfile"]
(NGINX,) = [each.text for each in snippets(PAGE) if each.language == "nginx"]
PORT = "8001"


def unit() -> ConfigParser:
    parser = ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # systemd's keys are case-sensitive
    parser.read_string(UNIT.replace("%i", PORT))
    return parser


def check_arguments(words: list[str]) -> None:
    """Check that the command line is one of ``maas-mcp serve``, whose address is valid."""
    assert words[0] == "serve"
    program = main.make_context("maas-mcp", [], resilient_parsing=True)
    parsed = serve.make_context("serve", words[1:], parent=program).params
    HttpAddress.parse(parsed["address"])


def test_the_environment_has_only_settings() -> None:
    names = [line.partition("=")[0] for line in ENVIRONMENT.splitlines()]
    assert set(names) <= {variable_name(name) for name in Settings.model_fields}


def test_the_unit_starts_the_server_and_waits_until_it_has_stopped() -> None:
    service = unit()["Service"]
    program, *words = service["ExecStart"].split()
    assert Path(program).name == "maas-mcp"
    check_arguments(words)
    assert int(service["TimeoutStopSec"]) > GRACE


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    file = tmp_path / "maas-mcp@8001.service"
    file.write_text(UNIT.replace("/opt/maas-mcp/bin/maas-mcp", "/bin/true").replace("User=maas-mcp", "User=root"))
    done = subprocess.run([verify, "verify", str(file)], capture_output=True, text=True, check=False)
    assert str(file) not in done.stderr, done.stderr


def test_the_container_installs_the_distributions_of_this_project() -> None:
    folders = re.findall(r"/source/(\S+)", CONTAINER)
    names = [tomllib.loads((ROOT / each / "pyproject.toml").read_text())["project"]["name"] for each in folders]
    assert re.findall(r"maas-mcp-\w+", CONTAINER) == names


def test_the_container_starts_the_server() -> None:
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", CONTAINER, re.MULTILINE)
    (given,) = re.findall(r"^CMD (.+)$", CONTAINER, re.MULTILINE)
    assert re.findall(r'"([^"]+)"', entry) == ["maas-mcp"]
    check_arguments(re.findall(r'"([^"]+)"', given))


def test_nginx_streams_responses_of_the_path_of_mcp() -> None:
    assert NGINX.count("{") == NGINX.count("}")
    lines = [line.strip() for line in NGINX.splitlines() if line.strip()]
    assert all(line.endswith((";", "{", "}")) for line in lines)
    assert f"location = {MCP_PATH} {{" in lines
    assert {"proxy_buffering off;", "proxy_http_version 1.1;", 'proxy_set_header Connection "";'} <= set(lines)
    limit = int(Settings.model_fields["http_body_limit"].default)
    assert f"client_max_body_size {limit // 1024**2}m;" in lines


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("nginx is not installed")
    plain = re.sub(r"\n *ssl_\w+ [^;]+;", "", NGINX).replace("443 ssl", "127.0.0.1:8443")
    file = tmp_path / "nginx.conf"
    file.write_text(f"pid {tmp_path}/pid;\nerror_log {tmp_path}/log;\nevents {{}}\nhttp {{\n{plain}\n}}\n")
    done = subprocess.run([nginx, "-t", "-c", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

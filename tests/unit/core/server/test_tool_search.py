"""Clients that defer tools find them by a search over their names and descriptions, so operators' phrases must find the
right tool first.

The search is BM25 (Robertson and Zaragoza 2009) with the usual parameters, as in the clients' own tool search.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

import pytest

from maas_mcp.plugins.registry import load_registry
from maas_mcp.server.loaded_tools import served_tools
from tests.own_plugins import OWN_PLUGINS

FOUND_FIRST: Final = 55
"""Phrases of the 60 that must find the right tool first."""
SATURATION: Final = 1.2
LENGTH: Final = 0.75
STOPWORDS: Final = re.compile(
    r"(?:an?|and|are|at|be|by|do|does|for|from|has|have|how|i|in|is|it|its|me|my|of|on|or|that|the|there|this|to|was|"
    r"were|what|when|where|which|who|why|will|with)"
)

SHORT: Final = 3
"""Letters of a word whose last one is no ending."""

PHRASES: Final = {
    # Machines
    "which nodes failed commissioning in rack 4": "maas_list_machines",
    "free GPU boxes": "maas_list_machines",
    "list all ready machines in pool gpu": "maas_list_machines",
    "how many machines does alice own": "maas_list_machines",
    "count machines by status": "maas_list_machines",
    "machines with at least 256 GB memory and tag nvme": "maas_list_machines",
    "show hardware of node07": "maas_get_machine",
    "details of machine 4y3h7n": "maas_get_machine",
    "read the network and storage of a machine": "maas_get_machine",
    "who owns 10.0.3.7": "maas_find",
    "find the MAC address 52:54:00:aa:bb:cc": "maas_find",
    "search everything named rack4": "maas_find",
    "what changed since yesterday": "maas_what_changed",
    "which machines came and went in the last hour": "maas_what_changed",
    "what happened to node03 last night": "maas_get_events",
    "event log of a machine": "maas_get_events",
    "show the latest errors and warnings": "maas_get_events",
    "why did the memory test fail": "maas_get_script_results",
    "output of the failed commissioning script": "maas_get_script_results",
    "curtin installation log": "maas_get_script_results",
    # The region
    "subnets with free addresses": "maas_list_objects",
    "list VLANs and fabrics": "maas_list_objects",
    "which zones and pools exist": "maas_list_objects",
    "rack controllers and their services": "maas_list_objects",
    "all DNS domains": "maas_list_objects",
    "who am I and what may I do": "maas_whoami",
    "which version of MAAS is this": "maas_whoami",
    "which Ubuntu images can be deployed": "maas_list_objects",
    "sync the boot images": "maas_import_images",
    # Operations
    "deploy ubuntu noble on node07": "maas_deploy_machine",
    "install an operating system on a server": "maas_deploy_machine",
    "provision ten machines at once": "maas_deploy_machines",
    "release the machine and wipe its disks": "maas_release_machine",
    "give the server back": "maas_release_machine",
    "commission the new machine": "maas_commission_machine",
    "run the smartctl disk test": "maas_test_machine",
    "reserve a machine with 8 cores": "maas_allocate_machine",
    "stop the deployment": "maas_abort_machine",
    "boot into rescue mode": "maas_enter_rescue_mode",
    "leave rescue mode": "maas_exit_rescue_mode",
    "this node is faulty, mark it broken": "maas_mark_broken",
    "the repaired node works again": "maas_mark_fixed",
    "ignore the failed tests": "maas_override_failed_testing",
    "protect a machine against release": "maas_lock_machine",
    "unlock node05": "maas_unlock_machine",
    "turn the server on": "maas_power_on",
    "reboot the machine": "maas_power_cycle",
    "ask the BMC for the power state": "maas_query_power_state",
    "which operations are running": "maas_list_operations",
    "follow the deployment until it ends": "maas_wait_operation",
    "cancel the running operation": "maas_cancel_operation",
    # Changes
    "rename a machine": "maas_update_machine",
    "move node04 to another zone": "maas_update_machine",
    "tag twelve machines with gpu": "maas_tag_machines",
    "change the IPMI password of a machine": "maas_set_power_parameters",
    "bond two interfaces": "maas_create_interface",
    "set a static IP address on an interface": "maas_link_subnet",
    "use an LVM storage layout": "maas_set_storage_layout",
    "enlist a machine by its MAC address": "maas_add_machine",
    "delete a machine from MAAS": "maas_delete_machine",
}


class Search:
    """BM25 over texts by name."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._words = {name: Counter(_words(text)) for name, text in texts.items()}
        self._average = sum(map(Counter.total, self._words.values())) / len(texts)

    def first(self, phrase: str) -> str:
        """The name of the text that fits best."""
        return max(self._words, key=lambda name: self._score(self._words[name], set(_words(phrase))))

    def _score(self, text: Counter[str], phrase: set[str]) -> float:
        score = 0.0
        for word in phrase & text.keys():
            having = sum(word in words for words in self._words.values())
            rarity = math.log(1 + (len(self._words) - having + 0.5) / (having + 0.5))
            length = 1 - LENGTH + LENGTH * text.total() / self._average
            score += rarity * text[word] * (SATURATION + 1) / (text[word] + SATURATION * length)
        return score


def _words(text: str) -> list[str]:
    """The words in lower case, without endings of the plural."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return [word.removesuffix("s") if len(word) > SHORT else word for word in words if not STOPWORDS.fullmatch(word)]


for plugin in ("maas_commission", "maas_configure", "maas_deploy", "maas_inventory"):
    pytest.importorskip(plugin)

TOOLS: Final = served_tools(load_registry(allow=OWN_PLUGINS, strict=True))
SEARCH: Final = Search({name: f"{name} {tool.title} {tool.description()}" for name, tool in TOOLS.items()})


def test_operators_phrases_find_the_right_tool_first() -> None:
    found = {phrase: SEARCH.first(phrase) for phrase in PHRASES}
    wrong = {phrase: (found[phrase], tool) for phrase, tool in PHRASES.items() if found[phrase] != tool}

    assert len(PHRASES) == 60
    assert len(PHRASES) - len(wrong) >= FOUND_FIRST, wrong


def test_every_expected_tool_is_served() -> None:
    assert {*PHRASES.values()} <= TOOLS.keys()

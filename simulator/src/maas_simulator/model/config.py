"""The settings of the region, with their defaults and the values that ``set_config`` accepts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from maas_simulator.model.fields import Reader, address_list, boolean, one_of, text, whole
from maas_simulator.model.forms import IMAGES

NODE_TIMEOUT: Final = 30
"""Minutes."""

SYNC_INTERVAL: Final = 900
"""Seconds between two reports of the agent of ``enable_hw_sync``."""

LAYOUTS: Final = ("bcache", "blank", "custom", "flat", "lvm", "vmfs6", "vmfs7")

_READERS: Final[Mapping[str, Reader]] = {
    "text": text(),
    "short text": text(20),
    "boolean": boolean,
    "url": text(pattern=r"(https?://\S+)?", wrong="Enter a valid URL."),
    "addresses": address_list,
    "default_osystem": one_of("default_osystem", *sorted({name.partition("/")[0] for name in IMAGES})),
    "default_distro_series": one_of("default_distro_series", *(name.partition("/")[2] for name in IMAGES)),
    "default_storage_layout": one_of("default_storage_layout", *LAYOUTS),
}

_SETTINGS: Final = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
"""All settings of MAAS 3.7, in the order in which its error for an unknown setting lists them.

Each has a kind and a default. The kind is a name above, a list of choices, or a list with the lowest and the highest
number. Recorded: the names, and the type and default of about half. The other defaults are MAAS's documented ones.
"""


def _reader(name: str, kind: str | list[str] | list[int]) -> Reader:
    if isinstance(kind, str):
        return _READERS[kind]
    numbers = [each for each in kind if isinstance(each, int)]
    return whole(*numbers) if numbers else one_of(name, *map(str, kind))


READERS: Final = {name: _reader(name, kind) for name, (kind, _) in _SETTINGS.items()}
CONFIG: Final[Mapping[str, object]] = {name: default for name, (_, default) in _SETTINGS.items()}
"""The settings of a new region."""

"""The region's images, and importing them: new versions appear, and are completed file by file.

No import was recorded from a MAAS: how long it takes, its order, and what a stopped one leaves behind are made up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

from maas_simulator.model.forms import IMAGES, KERNELS
from maas_simulator.model.schedule import Schedule

FILES: Final = {"boot-initrd": 60_000_000, "boot-kernel": 15_000_000, "squashfs": 420_000_000}
"""What an Ubuntu image consists of, in bytes."""
OLD_VERSION: Final = "20260401"
MIRROR: Final = ("ubuntu/jammy", "ubuntu/noble")
"""What the mirror has new versions of."""
FETCHING: Final = 15.0
"""Seconds until MAAS knows what is new."""
RATE: Final = 15_000_000.0
"""Bytes a second."""
ARCHITECTURES: Final = {"ubuntu/noble": ("amd64", "arm64")}
"""Those of an image that is not for amd64 alone."""
TITLES: Final = {"centos/centos70": "CentOS 7", "custom/custom-noble": "Custom Noble"}
"""What images are called that are not Ubuntu."""


@dataclass
class ImageFile:
    """A file of a version."""

    size: int
    complete: bool = True


@dataclass
class ImageResource:
    """An image with its versions; of Ubuntu there is one for every architecture and kernel.

    ``last_deployed`` is in epoch seconds.
    """

    id: int
    name: str
    architecture: str = "amd64"
    kernel: str = "generic"
    versions: dict[str, dict[str, ImageFile]] = field(default_factory=dict)
    last_deployed: float | None = None

    @property
    def title(self) -> str | None:
        """What it is called; Ubuntu is called by its name alone."""
        return None if self.name.startswith("ubuntu/") else TITLES.get(self.name, self.name.rpartition("/")[2])

    @property
    def uploaded(self) -> bool:
        """Whether it is somebody's own."""
        return self.name.startswith("custom/")


class Images:
    """What the region has, by the names of the images (``osystem/series``), and whether it is importing."""

    def __init__(self, schedule: Schedule, names: Sequence[str] = IMAGES) -> None:
        self.importing = False
        self._schedule = schedule
        self._run = 0
        self.names = list(names)
        """What can be deployed."""
        self.resources = _resources(names)

    def begin(self) -> None:
        """Import; one that is under way is broken off, as MAAS 3.7 does it."""
        self.importing = True
        self._run += 1
        self._schedule.after(FETCHING, partial(self._fetch, self._run))

    def deployed(self, name: str, architecture: str) -> None:
        """Take note that an image runs on a machine now."""
        for each in self.resources:
            if (each.name, each.architecture) == (name, architecture.partition("/")[0]):
                each.last_deployed = self._schedule.now

    def stop(self) -> None:
        """Break off. What is incomplete stays."""
        self.importing = False
        self._run += 1

    def _fetch(self, run: int) -> None:
        """Today's versions appear, and their files come one after the other."""
        if run != self._run:
            return
        version = datetime.fromtimestamp(self._schedule.now, UTC).strftime("%Y%m%d")
        due = 0.0
        for resource in self.resources:
            if resource.name not in MIRROR:
                continue
            files = resource.versions.setdefault(
                version, {name: ImageFile(size, complete=False) for name, size in FILES.items()}
            )
            for file in files.values():
                due += 0.0 if file.complete else file.size / RATE
                self._schedule.after(due, partial(self._complete, run, file))
        self._schedule.after(due, partial(self._end, run))

    def _complete(self, run: int, file: ImageFile) -> None:
        if run == self._run:
            file.complete = True

    def _end(self, run: int) -> None:
        """Only the newest version of each is kept."""
        if run == self._run:
            self.importing = False
            for resource in self.resources:
                newest = max(resource.versions)
                resource.versions = {newest: resource.versions[newest]}


def _resources(names: Sequence[str]) -> list[ImageResource]:
    """In the order in which MAAS lists them, what was uploaded last; Ubuntu was there first, and has the first ids."""
    kinds = [
        (name, architecture, kernel)
        for name in sorted(names, key=lambda name: (not name.startswith("ubuntu/"), name))
        for architecture in ARCHITECTURES.get(name, ("amd64",))
        for kernel in KERNELS.get(name, ("generic",))
        if not kernel.endswith("-edge")
    ]
    every = [ImageResource(number, *kind) for number, kind in enumerate(kinds, 1)]
    for each in every:
        each.versions[OLD_VERSION] = {name: ImageFile(size) for name, size in _files(each.name).items()}
    return sorted(every, key=lambda each: (each.uploaded, each.name))


def _files(name: str) -> dict[str, int]:
    return FILES if name.startswith("ubuntu/") else {"root-tgz": 512}

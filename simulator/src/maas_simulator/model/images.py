"""The region's images and their import, which adds new versions and completes them file by file.

No import was recorded from MAAS. The duration, the order and the remains of a stopped import are assumptions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

from maas_simulator.model.forms import IMAGES, KERNELS
from maas_simulator.model.schedule import Schedule

FILES: Final = {"boot-initrd": 60_000_000, "boot-kernel": 15_000_000, "squashfs": 420_000_000}
"""The files of an Ubuntu image with their sizes in bytes."""
OLD_VERSION: Final = "20260401"
MIRROR: Final = ("ubuntu/jammy", "ubuntu/noble")
"""The images that have new versions on the mirror."""
FETCHING: Final = 15.0
"""Seconds until MAAS knows the new versions."""
RATE: Final = 15_000_000.0
"""Download rate in bytes per second."""
ARCHITECTURES: Final = {"ubuntu/noble": ("amd64", "arm64")}
"""The architectures of images that do not exist for amd64 only."""
TITLES: Final = {"centos/centos70": "CentOS 7", "custom/custom-noble": "Custom Noble"}
"""The titles of images other than Ubuntu."""


_UBUNTU: Final = {"platform": "generic", "supported_platforms": "generic"}


def _kernels_up_to(kernel: str) -> str:
    """The kernels that an image with this one supports: it and all older ones."""
    release = kernel.removesuffix("-edge").rpartition("-")[2]
    every = [f"ga-{year}.{month}" for year in range(16, 25) for month in ("04", "10")]
    known = ["generic", *(f"hwe-{letter}" for letter in "pqrstuvw"), *every[: every.index(f"ga-{release}") + 1]]
    return ",".join(known if kernel.startswith("ga-") else [*known, kernel])


@dataclass
class ImageFile:
    """A file of an image version."""

    size: int
    complete: bool = True


@dataclass
class ImageResource:
    """An image with its versions. Ubuntu has one for each architecture and kernel.

    ``last_deployed`` is in epoch seconds.
    """

    id: int
    name: str
    architecture: str = "amd64"
    kernel: str = "generic"
    versions: dict[str, dict[str, ImageFile]] = field(default_factory=dict)
    last_deployed: float | None = None
    described: Mapping[str, str] = field(default_factory=dict)
    """What the image's source says about it, instead of the usual values."""

    @property
    def description(self) -> Mapping[str, str]:
        """The title, and for Ubuntu the platforms and kernels that the image supports."""
        if self.described:
            return self.described
        if self.name.startswith("ubuntu/"):
            return {**_UBUNTU, "subarches": _kernels_up_to(self.kernel)}
        base = {"base_image": "ubuntu/noble"} if self.uploaded else {}
        return {"title": TITLES.get(self.name, self.name.rpartition("/")[2]), "subarches": self.kernel, **base}

    @property
    def uploaded(self) -> bool:
        """Whether a user uploaded the image."""
        return self.name.startswith("custom/")


class Images:
    """The region's images by name (``osystem/series``), and the state of the import."""

    def __init__(self, schedule: Schedule, names: Sequence[str] = IMAGES) -> None:
        self.importing = False
        self._schedule = schedule
        self._run = 0
        self.names = list(names)
        """The images that can be deployed."""
        self.resources = _resources(names)

    @property
    def architectures(self) -> list[str]:
        """The architectures of the images, such as ``amd64/generic``. MAAS accepts no others."""
        return sorted({f"{each.architecture}/generic" for each in self.resources})

    def start(self) -> None:
        """Start an import. MAAS 3.7 aborts a running import first."""
        self.importing = True
        self._run += 1
        self._schedule.after(FETCHING, partial(self._fetch, self._run))

    def deployed(self, name: str, architecture: str) -> None:
        """Record that an image was deployed on a machine now."""
        for each in self.resources:
            if (each.name, each.architecture) == (name, architecture.partition("/")[0]):
                each.last_deployed = self._schedule.now

    def stop(self) -> None:
        """Stop the import. Incomplete files stay."""
        self.importing = False
        self._run += 1

    def _fetch(self, run: int) -> None:
        """Add today's versions and complete their files one after the other."""
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
        """End the import, and keep only the newest version of each image."""
        if run == self._run:
            self.importing = False
            for resource in self.resources:
                newest = max(resource.versions)
                resource.versions = {newest: resource.versions[newest]}


def _resources(names: Sequence[str]) -> list[ImageResource]:
    """Build the images in MAAS's list order, uploaded ones last. Ubuntu was imported first and has the lowest ids."""
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

"""The notifications, package repositories and source of images of a new region, as records."""

import json
from pathlib import Path

from maas_simulator.model.records import Tables
from maas_simulator.model.scripts import iso_date


def add_region_objects(tables: Tables, now: float) -> None:
    """Add what a new region of MAAS 3.7.3 has."""
    for kind, records in json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8")).items():
        for record in records:
            tables[kind].add(**record)
    for source in tables["BootSource"].values():
        source.update(created=iso_date(now), updated=iso_date(now))

"""A database of the MAAS CLI, as ``maas login`` creates it."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path


def write_profiles(path: Path, profiles: Mapping[str, object], *, mode: int = 0o600) -> Path:
    """Write a database with these profiles. Each is the URL of a region with a key, or the stored data itself."""
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE profiles (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, data BLOB)")
        for name, data in profiles.items():
            database.execute("INSERT INTO profiles (name, data) VALUES (?, ?)", (name, _stored(name, data)))
    path.chmod(mode)
    return path


def _stored(name: str, data: object) -> str:
    if not isinstance(data, tuple):
        return data if isinstance(data, str) else json.dumps(data)
    url, key = data
    api = f"{url.rstrip('/')}/api/2.0/"
    return json.dumps({"credentials": key.split(":"), "description": {}, "name": name, "url": api, "cacerts": None})

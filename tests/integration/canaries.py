"""Distinct secrets for every place where one can enter, and the search for them in everything that gets out."""

import base64
import json
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from maas_simulator import SimulatedRegion

MIN_ENCODED = 12
"""Characters of an encoded secret that are unlikely to occur by chance."""


def encoded(secret: bytes) -> set[bytes]:
    """The base64 of a secret that stands anywhere in an encoded text: what does not depend on its neighbours."""
    found = set()
    for before in range(3):
        text = base64.b64encode(bytes(before) + secret)
        found.add(text[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6])
    return {each for text in found if len(text) >= MIN_ENCODED for each in (text, text.translate(URL_SAFE))}


URL_SAFE = bytes.maketrans(b"+/", b"-_")


def forms(secret: str) -> set[bytes]:
    """Every form in which a secret could get out."""
    plain = secret.encode()
    texts = {secret, quote(secret, safe=""), quote(quote(secret, safe=""), safe=""), json.dumps(secret)[1:-1]}
    return {*(each.encode() for each in texts), *encoded(plain), plain.hex().encode()}


@dataclass
class Canaries:
    """The secrets by place, and the bytes that got out by output."""

    places: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, list[bytes]] = field(default_factory=dict)

    def add(self, place: str, secret: str = "") -> str:
        """Add a place, and return its secret."""
        return self.places.setdefault(place, secret or f"canary-{secrets.token_hex(8)}/+={place.replace(' ', '-')}")

    def word(self, place: str) -> str:
        """Add a place that takes letters and digits only."""
        return self.add(place, f"Canary{secrets.token_hex(16)}")

    def add_api_keys(self, region: SimulatedRegion, users: Iterable[str]) -> None:
        """Add the three parts of each user's MAAS API key."""
        for user in users:
            for part, secret in zip(("consumer", "token", "secret"), region.api_key_of(user).split(":"), strict=True):
                self.add(f"{part} of {user}", secret)

    def home(self, folder: Path) -> Path:
        """A home folder with the profile file of MAAS's own command line."""
        with sqlite3.connect(folder / ".maascli.db") as database:
            database.execute("CREATE TABLE IF NOT EXISTS profiles (name TEXT UNIQUE, data BLOB)")
            profile = {"url": "http://127.0.0.1:1/MAAS", "credentials": [self.word(f"profile {n}") for n in range(3)]}
            database.execute("INSERT OR REPLACE INTO profiles (name, data) VALUES ('other', ?)", [json.dumps(profile)])
        database.close()
        return folder

    def wrote(self, output: str, *written: bytes) -> None:
        """Note what got out."""
        self.outputs.setdefault(output, []).extend(written)

    def found(self) -> list[str]:
        """Each place whose secret got out, with its output and the bytes around it."""
        leaks = []
        for output, written in self.outputs.items():
            text = b"\n".join(written)
            for place, secret in self.places.items():
                for form in forms(secret):
                    if (at := text.find(form)) >= 0:
                        leaks.append(f"{place} in {output}: {text[max(0, at - 300) : at + len(form) + 40]!r}")
                        break
        return leaks

"""Detects user data that cloud-init would ignore or fail to run. MAAS accepts any data and reports no error."""

import zlib
from base64 import b64decode
from typing import Final

from pydantic import SecretStr

FORMAT_BYTES: Final = 4096
"""Bytes from the start that decide the format. cloud-init searches as many for ``MIME-Version:``."""
TEMPLATE: Final = b"## template: jinja"
"""The first line of a template. The second line has the format of the rendered text."""
FORMS: Final = (
    b"#cloud-config",  # also -archive and -jsonp
    b"#!",
    b"#include",  # also -once
    b"#part-handler",
    b"#cloud-boothook",
    TEMPLATE,
)
"""First bytes of the formats that cloud-init reads, in lower case (its documentation, "User-data formats")."""
SCRIPTS: Final = (b"#!", b"#cloud-boothook")
"""Formats that Linux executes directly."""
ANY_CASE: Final = (b"content-type:", b"mime-version:", b"#ps1", b"rem cmd", b"<powershell>", b"<script>")
"""MIME headers and the formats of cloudbase-init, which MAAS's Windows images use instead of cloud-init."""
GZIP: Final = b"\x1f\x8b"
BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

EXPECTED: Final = (
    "Its first line must start with `#cloud-config`, `#!`, `## template: jinja`, `#include`, `#part-handler`, "
    "`#cloud-boothook` or `#cloud-config-archive`, unless it is a MIME message or gzip."
)


def warning(user_data: SecretStr | None) -> str | None:
    """A warning about the user data, or ``None``. The warning never contains the data, which may be secret."""
    given = user_data.get_secret_value() if user_data else ""
    problem = _problem(_start(given)) if given else None
    return f"`user_data` {problem} MAAS passes it on unchanged." if problem else None


def _start(given: str) -> bytes:
    """The first decoded bytes: MAAS decodes base64, and cloud-init decompresses gzip."""
    data = given.encode("utf-8", "replace")
    try:
        data = b64decode(b"".join(data.split()), validate=True)
    except ValueError:
        return data[:FORMAT_BYTES]
    if not data.startswith(GZIP):
        return data[:FORMAT_BYTES]
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(data, FORMAT_BYTES)
    except zlib.error:
        return b""


def _problem(start: bytes) -> str | None:
    text = start.lstrip()
    lowered = text.lower()
    if lowered.startswith(ANY_CASE) or b"mime-version:" in lowered:
        return None
    marked = start.startswith(BYTE_ORDER_MARKS)
    checks = (
        (marked, f"starts with a byte order mark, which hides its format. Save it as UTF-8 without BOM. {EXPECTED}"),
        (not lowered.startswith(FORMS), f"has an unknown format, so cloud-init ignores it. {EXPECTED}"),
        (text != start, f"starts with blank lines or spaces, so cloud-init may not recognize it. {EXPECTED}"),
        (not text.startswith(FORMS), f"starts with upper case, so cloud-init may not recognize it. {EXPECTED}"),
        (
            text.startswith(SCRIPTS) and b"\r\n" in text,
            "is a script with Windows line endings. Save it with LF, not CRLF.",
        ),
    )
    problem = next((problem for is_wrong, problem in checks if is_wrong), None)
    if problem is None and text.startswith(TEMPLATE):
        inner = _problem(text.partition(b"\n")[2])
        return f"is a template, and the text after its first line {inner}" if inner else None
    return problem

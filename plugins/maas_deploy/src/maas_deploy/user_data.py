"""Recognizes user data that cloud-init would ignore or could not run: MAAS accepts any, and no status shows it."""

import zlib
from base64 import b64decode
from typing import Final

from pydantic import SecretStr

LOOKED_AT: Final = 4096
"""Bytes at the start that decide what it is; cloud-init looks for ``MIME-Version:`` in as many."""
TEMPLATE: Final = b"## template: jinja"
"""The first line of a template; that of another form is its second one."""
FORMS: Final = (
    b"#cloud-config",  # -archive and -jsonp, too
    b"#!",
    b"#include",  # -once, too
    b"#part-handler",
    b"#cloud-boothook",
    TEMPLATE,
)
"""How user data starts that cloud-init reads, in lower case (its documentation, "User-data formats")."""
SCRIPTS: Final = (b"#!", b"#cloud-boothook")
"""Forms that Linux runs as they are."""
ANY_CASE: Final = (b"content-type:", b"mime-version:", b"#ps1", b"rem cmd", b"<powershell>", b"<script>")
"""Headers of MIME messages, and what cloudbase-init reads as well: MAAS's Windows images have it for cloud-init."""
GZIP: Final = b"\x1f\x8b"
BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

EXPECTED: Final = (
    "Its first line has to start with `#cloud-config`, `#!`, `## template: jinja`, `#include`, `#part-handler`, "
    "`#cloud-boothook` or `#cloud-config-archive`, unless it is a MIME message or gzip."
)


def warning(user_data: SecretStr | None) -> str | None:
    """What is wrong with the user data, or ``None``; it repeats nothing of it."""
    given = user_data.get_secret_value() if user_data else ""
    problem = _problem(_start(given)) if given else None
    return f"`user_data` {problem} MAAS passes it on unchanged." if problem else None


def _start(given: str) -> bytes:
    """The start of what the machine is given: MAAS decodes base64, and cloud-init decompresses gzip."""
    data = given.encode("utf-8", "replace")
    try:
        data = b64decode(b"".join(data.split()), validate=True)
    except ValueError:
        return data[:LOOKED_AT]
    if not data.startswith(GZIP):
        return data[:LOOKED_AT]
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(data, LOOKED_AT)
    except zlib.error:
        return b""


def _problem(start: bytes) -> str | None:
    text = start.lstrip()
    lowered = text.lower()
    if lowered.startswith(ANY_CASE) or b"mime-version:" in lowered:
        return None
    marked = start.startswith(BYTE_ORDER_MARKS)
    checks = (
        (marked, f"starts with a byte order mark, which hides its format. Save it as UTF-8 without one. {EXPECTED}"),
        (not lowered.startswith(FORMS), f"has no format that cloud-init knows, so cloud-init ignores it. {EXPECTED}"),
        (text != start, f"has blank lines or spaces at its start, where cloud-init may not recognize it. {EXPECTED}"),
        (not text.startswith(FORMS), f"has upper case at its start, which cloud-init may not recognize. {EXPECTED}"),
        (
            text.startswith(SCRIPTS) and b"\r\n" in text,
            "is a script with Windows line ends. Save it with LF, not CRLF.",
        ),
    )
    problem = next((told for wrong, told in checks if wrong), None)
    if problem is None and text.startswith(TEMPLATE):
        inner = _problem(text.partition(b"\n")[2])
        return f"is a template, and the text after its first line {inner}" if inner else None
    return problem

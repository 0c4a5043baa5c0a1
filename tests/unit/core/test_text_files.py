"""Text files from any editor, and the errors for files that are not text."""

import codecs
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maas_mcp.text_files import MAX_BYTES, decode_text, read_text

ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"",  # includes a byte order mark
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
LINES = st.lists(st.text(st.characters(exclude_characters="\0\r\n\ufeff", exclude_categories=["Cs"])))


@given(LINES, st.sampled_from(sorted(ENCODINGS)), st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_text_is_the_same_in_every_encoding_and_with_any_line_ends(lines: list[str], encoding: str, end: str) -> None:
    assert decode_text(ENCODINGS[encoding] + end.join(lines).encode(encoding)) == "\n".join(lines)


@given(st.binary())
def test_any_bytes_are_text_or_an_error_without_their_content(content: bytes) -> None:
    try:
        text = decode_text(content)
    except ValueError as error:
        assert str(error).endswith(("save it as UTF-8", "save it as UTF-8 text"))  # noqa: PT017 - either is right
    else:
        assert "\0" not in text
        assert not text.startswith("\ufeff") or content.startswith(2 * codecs.BOM_UTF8)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"caf\xe9", r"it is not UTF-8 text \(byte 4\); save it as UTF-8"),
        (b"\xff\xfea\0b", r"it is not UTF-16-LE text \(byte 5\)"),
        ("maas".encode("utf-16-le"), "UTF-16 without a byte order mark; save it as UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00", "it is binary"),
        (b"a" * (MAX_BYTES + 1), "it is larger than 10 MiB"),
    ],
)
def test_the_error_for_a_binary_file_explains_what_to_do(tmp_path: Path, content: bytes, reason: str) -> None:
    (file := tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_text(file)


def test_errors_distinguish_a_directory_from_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^it is a directory, not a file$"):
        read_text(tmp_path)
    with pytest.raises(ValueError, match=r"^No such file or directory$"):
        read_text(tmp_path / "none")


@pytest.mark.skipif(os.name != "posix", reason="a pipe has no name elsewhere")
def test_a_pipe_can_be_read(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    writer = threading.Thread(target=pipe.write_bytes, args=(codecs.BOM_UTF8 + b"text",))
    writer.start()
    assert read_text(pipe) == "text"
    writer.join()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no file without an end here")
def test_an_endless_file_is_not_read_completely() -> None:
    with pytest.raises(ValueError, match="larger than 10 MiB"):
        read_text(Path("/dev/zero"))

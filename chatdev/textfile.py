"""Reads text that people write: tasks, settings, companies, lists, recordings.

Editors and spreadsheets on Windows save it with a byte-order mark, other line ends, or in another encoding.
"""

import codecs
from pathlib import Path

from chatdev.errors import ChatDevError, UserError

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
BYTE_ORDER_MARK = "\ufeff"


def read(path: Path, kind: type[ChatDevError] = UserError, *, newlines: bool = True) -> str:
    """The text of a file, as ``decode`` returns it. Raises ``kind`` if it cannot be read or is not UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise kind(f"{path} cannot be read ({error.strerror}).") from error
    return decode(data, str(path), kind, newlines=newlines)


def decode(data: bytes, name: str, kind: type[ChatDevError] = UserError, *, newlines: bool = True) -> str:
    """UTF-8 text without its byte-order mark; with ``newlines``, every end of a line becomes a newline.

    Raises ``kind`` with the ``name`` of the source, and the encoding or the place that is wrong.
    """
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "")
    if not encoding and 4 * data[:1000].count(0) >= len(data[:1000]) > 0:
        encoding = "UTF-16"
    if encoding:
        raise kind(f"{name} is {encoding}, not UTF-8.", do=_how_to_save(name))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise kind(
            f"{name} is not UTF-8 (line {line:,}, byte 0x{data[error.start]:02x}).", do=_how_to_save(name)
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n") if newlines else text


def _how_to_save(name: str) -> str:
    return "Save it as CSV UTF-8." if name.lower().endswith(".csv") else "Save it as UTF-8."

"""The header of a GGUF file: the model's metadata, read without its weights.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
"""

import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, TypeAlias

import msgspec

from chatdev.errors import UserError

Value: TypeAlias = int | float | bool | str | list["Value"]

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONG = 4096  # elements; longer arrays are vocabularies, not needed here


class Header(msgspec.Struct, frozen=True):
    """Metadata by key (``llama.block_count``) without long arrays, the number of weights, and the size of all files."""

    values: Mapping[str, Value]
    parameters: int
    size: int

    def of_architecture(self, key: str) -> Value | None:
        """A value under the model's own architecture: ``context_length`` is read from ``llama.context_length``."""
        return self.values.get(f"{self.values.get('general.architecture')}.{key}")

    def number(self, key: str) -> int:
        """The same as a whole number: the largest of a per-layer list, and 0 if there is none."""
        value = self.of_architecture(key)
        numbers = [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, int)]
        return max(numbers, default=0)


def read(path: Path) -> Header:
    """Read the header of a GGUF file; a split model has its metadata in the first one. Raises UserError."""
    parts = parts_of(path)
    try:
        heads = [_read(part) for part in parts]
    except (struct.error, EOFError, UnicodeDecodeError, OverflowError):
        raise UserError(
            f"{path} is not a complete GGUF file: its header is truncated or damaged.", do="Download it again."
        ) from None
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}).") from None
    return Header(heads[0][0], sum(weights for _, weights in heads), sum(part.stat().st_size for part in parts))


def parts_of(path: Path) -> tuple[Path, ...]:
    """All files of a model that is split as ``NAME-00001-of-00003.gguf``; else the file itself. Raises UserError."""
    split = re.fullmatch(r"(.*)-(\d{5})-of-(\d{5})\.gguf", path.name)
    if split is None:
        return (path,)
    parts = tuple(path.with_name(f"{split[1]}-{n:05}-of-{split[3]}.gguf") for n in range(1, int(split[3]) + 1))
    if missing := [part.name for part in parts if not part.exists()]:
        raise UserError(f"{path} is one part of a split model, but {', '.join(missing)} is not in its folder.")
    return parts


def _read(path: Path) -> tuple[dict[str, Value], int]:
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise UserError(
                f"{path} is not a GGUF file.", do="chatdev serve takes a .gguf file, a model folder, or a model name."
            )
        version = _scalar(file, "I")
        if version not in (2, 3):
            raise UserError(
                f"{path} has GGUF version {version}; only 2 and 3 are supported.", do="Download a newer conversion."
            )
        source = _Source(file, path.stat().st_size)
        tensors, keys = (int(_scalar(file, "Q")) for _ in range(2))
        values = {}
        for _ in range(keys):
            key = source.text()
            if (value := source.value(int(_scalar(file, "I")))) is not None:
                values[key] = value
        return values, sum(source.weights() for _ in range(tensors))


def _scalar(file: BinaryIO, form: str) -> int | float | bool:
    value: int | float | bool = struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))[0]
    return value


class _Source:
    """A file that is read from front to back; a length in it that exceeds the file's size is an error."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size

    def text(self) -> str:
        return self._file.read(self._length()).decode()

    def value(self, kind: int) -> Value | None:
        """A value, or None for a long array: those are skipped."""
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return _scalar(self._file, _form(kind))
        inner, count = int(_scalar(self._file, "I")), self._length()
        if count <= _LONG:
            return [each for each in (self.value(inner) for _ in range(count)) if each is not None]
        if inner in _SCALARS:
            self._file.seek(count * struct.calcsize(_SCALARS[inner]), 1)
        else:
            for _ in range(count):
                self._file.seek(self._length(), 1)
        return None

    def weights(self) -> int:
        """The number of weights in the next tensor."""
        self.text()
        shape = [int(_scalar(self._file, "Q")) for _ in range(int(_scalar(self._file, "I")))]
        _scalar(self._file, "I")  # its type
        _scalar(self._file, "Q")  # its offset
        return math.prod(shape)

    def _length(self) -> int:
        length = int(_scalar(self._file, "Q"))
        if length > self._size:
            raise EOFError
        return length


def _form(kind: int) -> str:
    if kind not in _SCALARS:
        raise EOFError
    return _SCALARS[kind]

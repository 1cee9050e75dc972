"""The head of a GGUF file, read from a real one and from broken ones."""

import struct
from pathlib import Path

import pytest
from gguf import GGUFWriter
from helpers import tiny_gguf

from chatdev.errors import UserError
from chatdev.ops.serving import gguf, weights

WIDTH, HEADS, LAYERS = tiny_gguf.WIDTH, tiny_gguf.HEADS, tiny_gguf.LAYERS


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write(tmp_path_factory.mktemp("gguf") / "tiny.gguf", window=2048)


def test_the_head_of_a_real_file(tiny: Path) -> None:
    header = gguf.read(tiny)
    assert header.values["general.architecture"] == "llama"
    assert (header.number("context_length"), header.number("block_count")) == (2048, LAYERS)
    assert header.of_architecture("nothing") is None
    assert header.size == tiny.stat().st_size
    assert 0 < header.parameters * 4 < header.size  # 32 bits each, and the head


def test_what_a_gguf_model_needs(tiny: Path) -> None:
    need = weights.local(tiny)
    assert (need.name, need.form, need.window, need.path) == ("tiny", "gguf", 2048, tiny)
    assert need.kv == LAYERS * HEADS * (WIDTH // HEADS) * 2 * 2  # keys and values, 16 bits each


def test_long_lists_are_passed_over_and_heads_by_layer_are_read(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "m.gguf", "hybrid")
    writer.add_head_count_kv([0, 8, 0, 8])
    writer.add_array("numbers", list(range(5000)))
    writer.add_array("words", [f"word {number}" for number in range(5000)])
    writer.add_float32("scale", 0.5)
    writer.add_bool("flag", True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    header = gguf.read(tmp_path / "m.gguf")
    assert header.number("attention.head_count_kv") == 8
    assert not {"numbers", "words"} & header.values.keys()
    assert (header.values["scale"], header.values["flag"]) == (0.5, True)
    assert weights.of_gguf(tmp_path / "m.gguf").kv == 0  # it does not tell enough


def test_a_model_in_parts_is_read_as_one(tiny: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"big-0000{number}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        part.write_bytes(tiny.read_bytes())
    assert gguf.read(parts[0]).size == 2 * tiny.stat().st_size
    parts[1].unlink()
    with pytest.raises(UserError, match=r"big-00002-of-00002\.gguf is not in its folder"):
        gguf.read(parts[0])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"<html>", "is not a GGUF file"),
        (b"GGUF" + struct.pack("<I", 1), "has GGUF version 1"),
        (b"GGUF" + struct.pack("<I", 3), "not a complete GGUF file"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 40), "not a complete GGUF file"),  # a key of a terabyte
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"k", 99), "not a complete GGUF file"),  # of no known kind
    ],
)
def test_a_file_that_is_none_or_broken_is_reported(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(UserError, match=expected):
        gguf.read(tmp_path / "m.gguf")


def test_every_cut_of_a_real_file_within_its_head_is_reported(tiny: Path, tmp_path: Path) -> None:
    whole = tiny.read_bytes()
    for length in range(8, 6000, 97):
        (tmp_path / "cut.gguf").write_bytes(whole[:length])
        with pytest.raises(UserError, match="truncated or damaged"):
            gguf.read(tmp_path / "cut.gguf")


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "folder.gguf").mkdir()
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        gguf.read(tmp_path / "folder.gguf")

"""How large a model is, in the forms in which servers tell it."""

from typing import Any

import pytest

from chatdev.models.size import size_in


@pytest.mark.parametrize(
    ("entry", "name", "size"),
    [
        ({"meta": {"n_params": 1_777_088_000}}, "coder", 1.777088),
        ({"details": {"parameter_size": "7.6B"}}, "qwen", 7.6),
        ({"details": {"parameter_size": ""}}, "qwen2.5-coder:0.5b", 0.5),
        ({"root": "Qwen/Qwen2.5-Coder-14B-Instruct"}, "default", 14.0),
        ({}, "smollm2-135M", 0.135),
        ({}, "Qwen3-Coder-30B-A3B-Instruct", 30.0),
        ({}, "llama3.2_3b", 3.0),
        ({"meta": {"n_params": "many"}, "root": None}, "gpt-6-luna", None),
        ({"meta": None}, "mixtral-8x7b", None),
        ({}, "model-4bit", None),
    ],
)
def test_the_size_is_read_where_it_is_reported(entry: dict[str, Any], name: str, size: float | None) -> None:
    assert size_in(entry, name) == size

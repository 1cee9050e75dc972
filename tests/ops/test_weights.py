"""What models need: by their files, and by their names."""

import json
from pathlib import Path
from typing import Any

import pytest

from chatdev.errors import UserError
from chatdev.ops.serving import weights

QWEN_7B: dict[str, Any] = {
    "hidden_size": 3584,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32768,
    "torch_dtype": "bfloat16",
}
"""Of Qwen2.5-7B's config.json."""


def folder(path: Path, config: object, **files: int) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    for name, size in files.items():
        (path / name.replace("__", ".")).write_bytes(bytes(size))
    return path


def test_a_folder_by_its_config_and_its_weights(tmp_path: Path) -> None:
    path = folder(tmp_path / "qwen", QWEN_7B, a__safetensors=300, b__safetensors=200, consolidated__safetensors=500)
    need = weights.local(path)
    assert (need.name, need.form, need.path, need.window, need.heads) == ("qwen", "safetensors", path, 32768, 28)
    assert need.weights == 500  # the same weights in another form do not count again
    assert need.parameters == 250
    assert need.kv == 28 * 4 * 128 * 2 * 2 == 57344


def test_32_bit_weights_are_loaded_as_16() -> None:
    assert weights.of_config("m", {**QWEN_7B, "torch_dtype": "float32"}, 1000).weights == 500


@pytest.mark.parametrize(
    ("quantised", "parameters"),
    [
        ({"quant_method": "awq", "bits": 4}, 8e9 / weights.FOUR_BITS),
        ({"quant_method": "gptq", "bits": 8}, 8e9 / weights.EIGHT_BITS),
        ({"quant_method": "fp8"}, 8e9 / weights.EIGHT_BITS),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 8e9 / weights.FOUR_BITS),
        ({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 8}}}}, 8e9 / 8.7),
        ({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": None}}}, 8e9 / weights.FOUR_BITS),
    ],
)
def test_the_number_of_weights_of_a_quantised_model(quantised: dict[str, Any], parameters: float) -> None:
    need = weights.of_config("m", {**QWEN_7B, "quantization_config": quantised}, 10**9)
    assert need.parameters == pytest.approx(parameters)


@pytest.mark.parametrize(
    ("config", "kv"),
    [
        ({"n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024}, 12 * 12 * 64 * 4),  # GPT-2
        ({"text_config": QWEN_7B}, 57344),  # with eyes
        ({**QWEN_7B, "head_dim": 256}, 2 * 57344),
        ({**QWEN_7B, "layer_types": ["full_attention"] + 3 * ["sliding_attention"]}, 57344 // 28),
        ({**QWEN_7B, "full_attention_interval": 4}, 57344 // 4),
        ({"num_hidden_layers": 61, "kv_lora_rank": 512, "qk_rope_head_dim": 64}, 61 * 576 * 2),  # DeepSeek-V3
        ({}, 0),
    ],
)
def test_the_kv_cache_of_a_token_by_architecture(config: dict[str, Any], kv: int) -> None:
    assert weights.of_config("m", config, 1000).kv == kv


def test_what_is_no_model_is_reported_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        weights.local(tmp_path)
    (tmp_path / "m.gguf").touch()
    with pytest.raises(UserError, match=r"Name it: chatdev serve .*/m\.gguf"):
        weights.local(tmp_path)
    with pytest.raises(UserError, match="no weights"):
        weights.local(folder(tmp_path / "empty", QWEN_7B))
    with pytest.raises(UserError, match="does not describe a model"):
        weights.local(folder(tmp_path / "list", []))
    (folder(tmp_path / "broken", {}) / "config.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        weights.local(tmp_path / "broken")


@pytest.mark.parametrize(
    ("name", "gib"),
    [
        ("Qwen/Qwen2.5-Coder-7B-Instruct", 13.0),
        ("Qwen/Qwen2.5-Coder-7B-Instruct-AWQ", 4.5),
        ("RedHatAI/Llama-3-8B-FP8", 8.1),
        ("mistralai/Mixtral-8x7B-v0.1", 88.7),
        ("Qwen/Qwen3-30B-A3B", 55.9),
        ("HuggingFaceTB/SmolLM-135M", 0.25),
    ],
)
def test_the_weights_of_a_model_by_its_name(name: str, gib: float) -> None:
    need = weights.by_name(name)
    assert need is not None
    assert need.estimated
    assert need.weights / (1 << 30) == pytest.approx(gib, rel=0.03)


def test_the_kv_cache_by_a_name_lies_near_that_of_known_models() -> None:
    for name, heads in (("Llama-3-8B", 128), ("Llama-3-70B", 320), ("Qwen2.5-32B", 256)):
        need = weights.by_name(name)
        assert need is not None
        assert need.kv / 1024 == pytest.approx(heads, rel=0.25)


def test_a_name_without_a_size_tells_nothing() -> None:
    assert weights.by_name("microsoft/phi-4") is None

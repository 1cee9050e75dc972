"""What a model needs: its weights, its KV cache for each token, and the largest window that it supports.

Read from its own files, wherever they are; estimated from its name if they are not available.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from chatdev.errors import UserError
from chatdev.ops.serving import gguf

Form = Literal["gguf", "safetensors", "unknown"]
Config = Mapping[str, Any]


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """A model and what it needs. Sizes in bytes, 0 if not known; ``kv`` is the KV cache of one token.

    ``window`` is in tokens. ``heads`` is the number of attention heads: they limit how many GPUs can share a model.
    ``source`` says where this is from, and ``estimated`` that it is a guess. ``path`` is set for a model on this
    machine, and ``download`` is the number of bytes to download for one that is not.
    """

    name: str
    form: Form
    weights: int = 0
    kv: int = 0
    window: int | None = None
    heads: int | None = None
    parameters: int = 0
    source: str = ""
    estimated: bool = False
    path: Path | None = None
    download: int = 0
    gguf_files: tuple[str, ...] = ()


def local(path: Path) -> Need:
    """The model in a folder or in a GGUF file. Raises UserError."""
    if path.is_file():
        return of_gguf(path)
    if not (path / "config.json").is_file():
        ggufs = sorted(path.glob("*.gguf"))
        if ggufs:
            raise UserError(
                f"{path} contains GGUF files; one of them is the model.",
                tried=[file.name for file in ggufs[:8]],
                do=f"Name it: chatdev serve {ggufs[0]}",
            )
        raise UserError(
            f"{path} contains no model: it has no config.json.",
            do="Name a folder with config.json and *.safetensors, a .gguf file, or a model on the Hub.",
        )
    config = read_config((path / "config.json").read_bytes(), str(path / "config.json"))
    sizes = {file.name: file.stat().st_size for file in path.iterdir() if file.is_file()}
    if not (size := weights_among(sizes)):
        raise UserError(
            f"{path} has a config.json but no weights (*.safetensors).", do="Download the whole model, and try again."
        )
    need = of_config(path.resolve().name, config, size)
    return msgspec.structs.replace(need, path=path.resolve(), source="its files")


def of_gguf(path: Path) -> Need:
    """A GGUF file, by its header. Raises UserError."""
    header = gguf.read(path)
    heads, layers = header.number("attention.head_count"), header.number("block_count")
    kv_heads = header.number("attention.head_count_kv") or heads
    size = header.number("embedding_length") // heads if heads else 0
    key, value = header.number("attention.key_length") or size, header.number("attention.value_length") or size
    return Need(
        name=path.resolve().stem,
        form="gguf",
        weights=header.size,
        kv=layers * kv_heads * (key + value) * 2,  # 16 bits per element
        window=header.number("context_length") or None,
        heads=heads or None,
        parameters=header.parameters,
        source="its header",
        path=path.resolve(),
    )


def read_config(raw: bytes, where: str) -> Config:
    """A ``config.json``. Raises UserError."""
    try:
        config = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise UserError(f"{where} is not valid JSON: {error}.") from None
    if not isinstance(config, dict):
        raise UserError(f"{where} does not describe a model.")
    return config


def weights_among(sizes: Mapping[str, int]) -> int:
    """The bytes of a model's weights, from its files' sizes by name; a second copy in another format does not count."""
    for pattern in (r"(?!consolidated).*\.safetensors", r".*\.safetensors", r"pytorch_model.*\.bin"):
        if found := [size for name, size in sizes.items() if re.fullmatch(pattern, name)]:
            return sum(found)
    return 0


def of_config(name: str, config: Config, files: int) -> Need:
    """A model in Hugging Face's format, from its ``config.json`` and the bytes of its weight files.

    Engines load 32-bit weights as 16-bit ones, so those take half of their files' size.
    """
    text = next((c for key in ("text_config", "llm_config") if isinstance(c := config.get(key), dict)), config)
    dtype = str(text.get("dtype") or text.get("torch_dtype") or config.get("torch_dtype") or "bfloat16")
    quantised = config.get("quantization_config") or text.get("quantization_config")
    bits = _bits_of(quantised) if isinstance(quantised, dict) else 32 if dtype == "float32" else 16
    weights = files // 2 if bits == 32 else files
    return Need(
        name=name,
        form="safetensors",
        weights=weights,
        kv=_kv(text),
        window=_number(text, "max_position_embeddings", "n_positions", "seq_length", "max_seq_len") or None,
        heads=_number(text, "num_attention_heads", "n_head") or None,
        parameters=round(files * 8 / bits),
        source="its files",
    )


def _number(config: Config, *names: str) -> int:
    """The first of these values that is a whole number above 0, else 0."""
    return next((n for name in names if isinstance(n := config.get(name), int) and n > 0), 0)


def _kv(config: Config) -> int:
    """Bytes of KV cache for one token, 16 bits per element; layers without full attention do not count."""
    layers = _number(config, "num_hidden_layers", "n_layer")
    kinds = config.get("layer_types")
    if isinstance(kinds, list) and kinds:
        layers = sum(kind not in ("sliding_attention", "linear_attention", "chunked_attention") for kind in kinds)
    elif every := _number(config, "full_attention_interval"):
        layers //= every
    if rank := _number(config, "kv_lora_rank"):  # latent attention, as in DeepSeek
        return layers * (rank + _number(config, "qk_rope_head_dim")) * 2
    heads = _number(config, "num_attention_heads", "n_head")
    size = _number(config, "head_dim") or (_number(config, "hidden_size", "n_embd") // heads if heads else 0)
    return layers * (_number(config, "num_key_value_heads") or heads) * size * 2 * 2


def _bits_of(quantised: Config) -> float:
    """Bits of a weight on disk under a ``quantization_config``, with its scales and the parts left at 16 bits."""
    method, bits = str(quantised.get("quant_method", "")), _number(quantised, "bits", "w_bit")
    groups = quantised.get("config_groups")
    if isinstance(groups, dict):
        weights = [group.get("weights") for group in groups.values() if isinstance(group, dict)]
        bits = next((n for each in weights if isinstance(each, dict) and (n := _number(each, "num_bits"))), bits)
    bits = bits or (8 if "8" in method or quantised.get("load_in_8bit") else 4)
    return FOUR_BITS if bits <= 4 else EIGHT_BITS if bits == 8 else bits


FOUR_BITS = 5.5
"""Bits per weight of AWQ and GPTQ builds of 7 to 32 billion weights (5.9 to 4.7): their embeddings stay at 16."""
EIGHT_BITS = 8.7
"""The same for FP8 builds."""
GGUF_BITS: Mapping[str, float] = {"Q8_0": 8.5, "Q6_K": 6.6, "Q5_K_M": 5.7, "Q4_K_M": 4.9, "Q3_K_M": 4.0, "Q2_K": 3.2}
"""Bits per weight of llama.cpp's usual quantisations, from the size of models with 7 to 8 billion weights."""


def by_name(model: str) -> Need | None:
    """What a model probably needs, by the number of weights in its name ("7B", "8x7B", "500M"); None without one.

    The KV cache is estimated as 128 KiB a token at 8 billion weights, growing with their square root: Llama and Qwen
    models of 70B (320 KiB), 32B (256) and 8B (128) are close to that.
    """
    found = re.search(r"(?:^|[-_./])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?=$|[-_./:])", model.lower())
    if found is None:
        return None
    parameters = float(found[2]) * (1e9 if found[3] == "b" else 1e6) * (0.85 * float(found[1]) if found[1] else 1)
    four = re.search(r"awq|gptq|int4|4bit|4-bit|w4a16|nf4|fp4", model.lower())
    eight = re.search(r"fp8|int8|8bit|8-bit|w8a|bf8", model.lower())
    bits = FOUR_BITS if four else EIGHT_BITS if eight else 16
    return Need(
        name=model.rstrip("/").rpartition("/")[2],
        form="unknown",
        weights=round(parameters * bits / 8),
        kv=round((128 << 10) * (parameters / 8e9) ** 0.5),
        parameters=round(parameters),
        source="its name alone",
        estimated=True,
    )

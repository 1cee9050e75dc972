"""A language model of 0.4 MB with random weights, for a real llama.cpp server to serve: no download, no torch.

It answers gibberish, but everything around it is real: tokenizer, chat template, context window, stop token, sampling.
The file's form: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from pathlib import Path
from typing import TypeAlias

import numpy as np
from gguf import GGUFWriter, TokenType

from helpers.chatml import END_OF_TEXT, END_OF_TURN, SPECIAL, TEMPLATE

Weights: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

WIDTH, HEADS, LAYERS = 64, 4, 2

WORDS = (
    "the and of to in is that for it with as be on are this not or you from at by one an if all will file line code "
    "test name list return value print import self def class main true false none number text string user program task"
).split()
"""What the tokenizer knows as whole words; everything else is spelled out in bytes."""


def write(path: Path, *, seed: int = 0, window: int = 4096) -> Path:
    """Write the model to ``path``: the same bytes for the same ``seed``. ``window`` is its context window in tokens."""
    tokens, merges = vocabulary()
    writer = GGUFWriter(path, "llama")
    writer.add_name("gibberish")
    writer.add_context_length(window)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if token in SPECIAL else TokenType.NORMAL for token in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index(END_OF_TEXT))
    writer.add_eos_token_id(tokens.index(END_OF_TURN))
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    for name, weights in tensors(len(tokens), np.random.default_rng(seed)).items():
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def vocabulary() -> tuple[list[str], list[str]]:
    """Tokens and merges of a byte-level tokenizer: special tokens, one for each byte, and each beginning of a word."""
    letters = byte_letters()
    tokens = [*SPECIAL, *letters]
    merges = []
    for word in WORDS:
        spelled = [letters[byte] for byte in f" {word}".encode()]
        for end in range(1, len(spelled)):
            whole = "".join(spelled[: end + 1])
            if whole not in tokens:
                tokens.append(whole)
                merges.append("".join(spelled[:end]) + " " + spelled[end])
    return tokens, merges


def byte_letters() -> list[str]:
    """The visible character by which byte-level vocabularies (as of GPT-2) write each of the 256 bytes, in order."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in visible else next(others)) for byte in range(0x100)]


def tensors(vocabulary_size: int, random: np.random.Generator) -> dict[str, Weights]:
    """Every weight by its name, float32, rows first: (outputs, inputs)."""

    def matrix(outputs: int, scale: float = 1.0) -> Weights:
        return random.standard_normal((outputs, WIDTH), np.float32) * np.float32(scale / WIDTH**0.5)

    ones = np.ones(WIDTH, np.float32)
    # Logits within about 0.5 of each other make an answer wander, until after some 100 tokens it meets its end of turn.
    weights: dict[str, Weights] = {
        "token_embd.weight": matrix(vocabulary_size),
        "output.weight": matrix(vocabulary_size, 0.2),
        "output_norm.weight": ones,
    }
    weights["output.weight"][SPECIAL.index(END_OF_TURN)] *= 3
    for layer in range(LAYERS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
            weights[f"blk.{layer}.{part}.weight"] = matrix(WIDTH)
        for part in ("attn_norm", "ffn_norm"):
            weights[f"blk.{layer}.{part}.weight"] = ones
    return weights

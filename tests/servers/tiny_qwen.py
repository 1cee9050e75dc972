"""Small Qwen2 models in Hugging Face's form, for vLLM and ``transformers serve``: made here, nothing is downloaded.

Run as a script by the interpreter of ``.venv-servers``, it makes one with random weights, which answers gibberish:
``tiny_qwen.py FOLDER WINDOW TEXTS LAYERS``, with a folder of Markdown for its tokenizer to learn from.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from helpers.chatml import END_OF_TURN, SPECIAL, TEMPLATE
from transformers import AutoTokenizer, PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer


def tokenizer(texts: Sequence[str], size: int, folder: Path) -> PreTrainedTokenizerBase:
    """Train a byte-level tokenizer of ``size`` tokens on ``texts``, save it in ``folder``, and load it from there.

    It cuts words as Qwen2's does, and it is the one loaded that counts, since whoever serves the model loads it so:
    for a Qwen2, transformers puts in that model's rules, whatever stands in the file.
    """
    made = Qwen2Tokenizer().train_new_from_iterator(texts, size, new_special_tokens=list(SPECIAL[1:]))
    made.chat_template = TEMPLATE
    made.eos_token = END_OF_TURN
    made.save_pretrained(folder)
    Qwen2Config().save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def untrained(
    words: PreTrainedTokenizerBase, *, window: int, width: int, layers: int, sight: int | None = None, tied: bool = True
) -> Qwen2ForCausalLM:
    """A model with random weights, in float32, for a context window of ``window`` tokens.

    With ``sight``, a layer sees only so many tokens, its own among them. A head is 64 wide.
    """
    end = words.convert_tokens_to_ids(END_OF_TURN)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(words),
            hidden_size=width,
            intermediate_size=3 * width,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            num_key_value_heads=width // 64,
            max_position_embeddings=window,
            tie_word_embeddings=tied,
            use_sliding_window=sight is not None,
            sliding_window=sight,
            max_window_layers=0,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=words.pad_token_id,
        )
    )
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = words.pad_token_id
    return model


def main(folder: Path, window: int, source: Path, layers: int) -> None:
    """Save a model that knows nothing. Its answers wander and meet their end after some 100 tokens."""
    torch.manual_seed(0)
    texts = [path.read_text(encoding="utf-8") for path in sorted(source.rglob("*.md"))]
    words = tokenizer(texts, 600, folder)
    model = untrained(words, window=window, width=64, layers=layers, tied=False)
    with torch.no_grad():
        model.lm_head.weight.normal_(std=0.2 / 64**0.5)
        model.lm_head.weight[words.convert_tokens_to_ids(END_OF_TURN)] *= 3
    model.save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))

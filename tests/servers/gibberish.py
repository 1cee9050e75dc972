"""The model that knows nothing, in Hugging Face's form, for vLLM and transformers."""

from pathlib import Path

import server_process

WINDOW = 40_960
"""Tokens of about 2 characters: room for a talk in gibberish. No server's default, so that it cannot be guessed."""


def make(folder: Path, layers: int = 2) -> Path:
    """Let the servers' interpreter make it in ``folder``: the same for the same texts of the company.

    A token takes about 1 ms per layer on one core.
    """
    here = server_process.ROOT / "tests" / "servers" / "tiny_qwen.py"
    texts = server_process.ROOT / "chatdev" / "company"
    server_process.run(
        "python", here, folder, str(WINDOW), texts, str(layers), folder=folder, timeout=server_process.PATIENCE
    )
    return folder

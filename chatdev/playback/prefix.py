"""What a prefix cache would save: computed as in vLLM, with a cache that never evicts.

Whole blocks count, from the first token on, full blocks of answers included. Even if a prompt is cached to its end, its
last token is computed, and so is that token's block (vLLM's design document "Automatic Prefix Caching").
"""

import hashlib
from collections.abc import Iterable

from chatdev.playback.protocol import CHARACTERS, PER_MESSAGE

BLOCK = 16
"""Tokens per block on a GPU: vLLM's ``--block-size``."""


class PrefixCache:
    """The blocks seen so far, of ``block`` tokens each. A token is ``characters`` long: four, as everywhere in
    playback, unless given."""

    def __init__(self, block: int = BLOCK, characters: int = CHARACTERS) -> None:
        self.block = block
        self._size = block * characters
        self._seen: set[bytes] = set()

    def add(self, messages: Iterable[tuple[str, str]], answer: str) -> int:
        """The tokens of a prompt (role and text of each message) that need not be computed. Then adds the blocks of
        the prompt and of its answer to the cache."""
        return self.spared("".join(f"{_head(role)}{text}" for role, text in messages) + _head("assistant"), answer)

    def spared(self, prompt: str, answer: str) -> int:
        """The same for a prompt that is one text."""
        hits = 0
        spared = (len(prompt) - 1) // self._size
        still_cached = True
        for number, name in enumerate(self._blocks(prompt + answer)):
            still_cached = still_cached and name in self._seen
            hits += still_cached and number < spared
            self._seen.add(name)
        return hits * self.block

    def _blocks(self, text: str) -> Iterable[bytes]:
        """A name for each whole block. It depends on all blocks before it, too."""
        name = b""
        for start in range(0, len(text) // self._size * self._size, self._size):
            block = text[start : start + self._size].encode("utf-8", "surrogatepass")
            name = hashlib.blake2b(name + block, digest_size=16).digest()
            yield name


def _head(role: str) -> str:
    """The beginning of a message: as many tokens as a message takes in addition to its text."""
    return f"<|{role}|>\n".ljust(PER_MESSAGE * CHARACTERS)

"""What a prefix cache would spare: reckoned as vLLM's does, with a cache that never forgets.

Whole blocks count, from the first token on, and those of answers too, once they are full; of a prompt that is known to
its end, the last token is computed all the same, and so its block (vLLM's design document "Automatic Prefix Caching").
"""

import hashlib
from collections.abc import Iterable

from chatdev.playback.protocol import CHARACTERS, PER_MESSAGE

BLOCK = 16
"""Tokens of a block on a GPU, vLLM's ``--block-size`` there."""


class PrefixCache:
    """The blocks that were seen, of ``block`` tokens each; a token is four characters, as everywhere in playback, or as
    many as ``characters`` says."""

    def __init__(self, block: int = BLOCK, characters: int = CHARACTERS) -> None:
        self.block = block
        self._size = block * characters
        self._seen: set[bytes] = set()

    def take(self, messages: Iterable[tuple[str, str]], answer: str) -> int:
        """The tokens of a prompt (role and text of each message) that need not be computed. From now on the blocks of
        the prompt and of its answer are known."""
        return self.spared("".join(f"{_head(role)}{text}" for role, text in messages) + _head("assistant"), answer)

    def spared(self, prompt: str, answer: str) -> int:
        """The same of a prompt that is one text."""
        hits = 0
        spared = (len(prompt) - 1) // self._size
        known = True
        for number, name in enumerate(self._blocks(prompt + answer)):
            known = known and name in self._seen
            hits += known and number < spared
            self._seen.add(name)
        return hits * self.block

    def _blocks(self, text: str) -> Iterable[bytes]:
        """A name for each whole block, which tells all that stands before it, too."""
        name = b""
        for start in range(0, len(text) // self._size * self._size, self._size):
            block = text[start : start + self._size].encode("utf-8", "surrogatepass")
            name = hashlib.blake2b(name + block, digest_size=16).digest()
            yield name


def _head(role: str) -> str:
    """How a message begins: as many tokens as each message takes beside its text."""
    return f"<|{role}|>\n".ljust(PER_MESSAGE * CHARACTERS)

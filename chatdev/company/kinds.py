"""The kinds of phases, as far as a company's files depend on them; ``chatdev.project.kinds`` performs them."""

from collections.abc import Mapping
from typing import Literal

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """What the chain and the check of a company's files need to know about phases of one kind.

    ``needs`` are the keys that such a phase must set. ``program``: it writes the whole program, so that several
    candidates or a network can do it. ``tests``: it writes acceptance tests. ``writes``: a loop around it is compared
    by its files, not by its conclusions. ``reviews``: its answer may say that nothing must change. ``defaults``: a
    limit that ends it leaves its default. ``one_file``: its question names the first unfinished file. ``repeats``: it
    asks again for what an answer lacks, with the company's requests.
    """

    needs: tuple[Literal["sets", "options", "writes"], ...] = ()
    program: bool = False
    tests: bool = False
    writes: bool = False
    reviews: bool = False
    defaults: bool = False
    one_file: bool = False
    repeats: bool = True


KINDS: Mapping[str, Kind] = {
    "talk": Kind(needs=("sets",), reviews=True),
    "choice": Kind(needs=("options", "sets"), defaults=True),
    "code": Kind(program=True, writes=True),
    "complete": Kind(writes=True, one_file=True),
    "rows": Kind(tests=True),
    "tests": Kind(tests=True, writes=True),
    "amend": Kind(writes=True),
    "document": Kind(needs=("writes",), writes=True),
    "snippet": Kind(writes=True, repeats=False),
    "sketch": Kind(),
}

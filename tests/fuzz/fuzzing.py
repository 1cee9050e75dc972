"""Fuzz one reader with atheris: ``python tests/fuzz/fuzzing.py TARGET [libFuzzer's options] [CORPUS]``.

A finding is written to ``crash-…`` in the current folder; with that file as the last word it is shown again.
"""

import sys
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[2])]
with atheris.instrument_imports(include=["chatdev"]):
    from fuzz_targets import TARGETS


def main() -> None:
    """Fuzz until a limit of libFuzzer's is reached, or something is found."""
    name, *options = sys.argv[1:] or [""]
    if name not in TARGETS:
        sys.exit(f"Name one of: {', '.join(TARGETS)}.")
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


main()

"""The result of a phase."""

import msgspec

from chatdev.project.state import State


class PhaseResult(msgspec.Struct, frozen=True):
    """The next state, the phase's conclusion in a few words, and whether a reflection found it."""

    state: State
    conclusion: str
    reflected: bool = False


def of_files(before: State, after: State, reflected: bool = False) -> PhaseResult:
    """The result of a phase that writes files: the conclusion lists those that changed."""
    changed = [path for path, text in after.files.items() if before.files.get(path) != text]
    return PhaseResult(after, ", ".join(changed) or "no file changed", reflected)

"""The root of the error tree: what happened, what was tried, what to do next.

Errors are divided by who must act, so that whoever catches one knows whether to wait, to ask again or to stop::

    ChatDevError
    ├── UserError            the person at the terminal: usage or set-up, exit status 2
    │   ├── SettingsError    a variable or a line in chatdev.toml
    │   ├── CompanyError     a company's files
    │   └── …
    ├── ModelError           see chatdev.models.errors
    └── JournalError         see chatdev.journal.store
"""

from collections.abc import Sequence


class ChatDevError(Exception):
    """A failure that a person can understand: one breath of what happened, what was tried, and what to do.

    ``what`` is a sentence, ``tried`` are the attempts (one line each), ``do`` is the next step. ``exit_status`` is what
    a command ends with when nobody handles the error.
    """

    exit_status = 1

    def __init__(self, what: str, *, tried: Sequence[str] = (), do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.tried = tuple(tried)
        self.do = do

    def __str__(self) -> str:
        lines = [self.what, *(f"  tried: {attempt}" for attempt in self.tried)]
        if self.do:
            lines.append(self.do)
        return "\n".join(lines)


class UserError(ChatDevError):
    """The command cannot start as it was typed, or as this machine is set up. Exit status 2."""

    exit_status = 2


class SettingsError(UserError):
    """An environment variable or a line in ``chatdev.toml`` that cannot be used; names it and what it may hold."""

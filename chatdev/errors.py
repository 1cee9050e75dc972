"""The root of the error tree: what happened, what was tried, what to do next.

Errors are grouped by who must act, so that a handler knows whether to wait, to retry or to stop::

    ChatDevError
    ├── UserError            the user: wrong usage or setup, exit status 2
    │   ├── SettingsError    an environment variable or a line in chatdev.toml
    │   ├── CompanyError     a company's files
    │   └── …
    ├── ModelError           see chatdev.models.errors
    └── JournalError         see chatdev.journal.store
"""

from collections.abc import Sequence


class ChatDevError(Exception):
    """A failure that a person can understand: what happened, what was tried, and what to do next.

    ``what`` is a sentence, ``tried`` are the attempts (one line each), ``do`` is the next step. ``exit_status`` is the
    exit status of a command that does not handle the error.
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
    """The command cannot run because of its arguments or this machine's setup. Exit status 2."""

    exit_status = 2


class SettingsError(UserError):
    """An unusable environment variable or line in ``chatdev.toml``; the message names it and its possible values."""

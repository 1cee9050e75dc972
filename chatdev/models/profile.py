"""What was learned about an endpoint by trying it, kept from one process to the next.

``chatdev doctor`` writes a profile, a run starts from it, and corrects it where an answer contradicts it. A profile is
a cache: it may be deleted at any time, and one that cannot be read or written is ignored.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from chatdev import ownfile
from chatdev.models import dialects
from chatdev.redaction import Redactor


def _usual_switch() -> dict[str, Any]:
    return dict(dialects.load().thinking_off[0])


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was found about one endpoint: by address, model and the server's version.

    ``choices`` is the kind of constraint that works (see ``constraints``): empty if none does, None if none was tried.
    ``thinks`` says whether the model sends reasoning, None if unknown; ``thinking_off`` are the fields that switch it
    off, empty if nothing does; before a trial, the most common switch. ``low`` and ``high`` are the estimator's factors
    (see ``TokenEstimator``). ``in_flight`` is how many concurrent calls the server runs before its queue grows.
    ``skill`` is the share of trial questions that the model answered correctly (see ``ops.doctor.skill``). ``date`` is
    the date of the trial, in ISO 8601. ``adaptations`` are the changes to requests that the server needs (see
    ``request``).
    """

    base_url: str
    model: str
    engine: str = ""
    version: str = ""
    choices: str | None = None
    thinks: bool | None = None
    thinking_off: dict[str, Any] = msgspec.field(default_factory=_usual_switch)
    low: float | None = None
    high: float | None = None
    in_flight: int | None = None
    skill: float | None = None
    date: str = ""
    adaptations: tuple[str, ...] = ()


class Profiles:
    """This user's profiles, one JSON file each in ``folder``, readable for the user alone; without a folder there are
    none. What ``redactor`` finds is not stored."""

    def __init__(self, folder: Path | None, redactor: Redactor | None = None) -> None:
        self._folder = folder
        self._redactor = redactor or Redactor()

    def any(self, base_url: str, model: str) -> bool:
        """Whether there is a profile of any version: only then is the server's version worth a request."""
        return bool(self._folder) and next(self._of(base_url, model), None) is not None

    def get(self, base_url: str, model: str, version: str) -> Profile | None:
        """The profile of exactly this version; None if there is none. Raises LinkRefused."""
        for path in self._of(base_url, model):
            with suppress(OSError, msgspec.DecodeError):
                profile = msgspec.json.decode(ownfile.read(path), type=Profile)
                if (profile.base_url, profile.model, profile.version) == (base_url, model, version):
                    return profile
        return None

    def put(self, profile: Profile) -> Path | None:
        """Write a profile, replacing an older one; its path, or None if it could not be written. Raises LinkRefused."""
        if self._folder is None:
            return None
        profile = self._redactor.value(profile)
        path = self._folder / f"{_name(profile.base_url, profile.model)}-{_short(profile.version)}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            ownfile.write(path, msgspec.json.format(msgspec.json.encode(profile)), ownfile.PRIVATE)
        except OSError:
            return None
        return path

    def _of(self, base_url: str, model: str) -> Iterator[Path]:
        return self._folder.glob(f"{_name(base_url, model)}-*.json") if self._folder else iter(())


def _name(base_url: str, model: str) -> str:
    return _short(f"{base_url}\0{model}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]

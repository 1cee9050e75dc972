"""A run as it happens: in colour with a live status on a terminal, in plain lines otherwise.

Output must never harm the run: once the stream accepts no more (a closed pipe, a lost terminal), it stops silently.
"""

import re
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TextIO

from chatdev.journal import events, places
from chatdev.journal.store import Record
from chatdev.views import lines, races
from chatdev.views.lines import Line
from chatdev.views.text import clean, one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

_REDRAW = 0.1
"""The least number of seconds between two redraws of the live status."""

_FIRST_NOTICE = 15.0
"""Seconds of waiting before plain output says so; the next notice comes after twice that time."""

_RACING = re.compile(r", candidate \d+$")

_TAIL = 60
"""Characters at the end of an unfinished answer that the status shows."""
_KEPT = 2_000
"""Characters of it that are kept and searched for secrets: more than a key has."""


class _Progress(Protocol):
    """The progress of a call in flight, as in ``chatdev.models.types.Progress``: ``waiting`` (nothing received yet),
    ``reasoning`` or ``text`` (a piece arrived); seconds since the request was sent, tokens so far, and its place.
    """

    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def tokens(self) -> int: ...
    @property
    def call(self) -> str: ...


class Terminal:
    """Shows a run on ``stream``: give ``on_record`` to the store, ``on_progress`` to the code that calls the models.

    A terminal gets colours and a live status; a pipe, a file, a dumb terminal and ``quiet`` get plain lines, flushed
    with each record. ``quiet`` shows only phases, test counts, warnings and the verdict. ``redact`` removes secrets
    from an answer as it arrives; an incomplete last word is not shown, since it may be the start of a secret. Use it in
    a ``with`` statement, or close it.
    """

    def __init__(
        self,
        stream: TextIO,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
        redact: Callable[[str], str] = str,
    ) -> None:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")  # an ASCII locale must not end a run
        self._quiet = quiet
        self._clock, self._redact = clock, redact
        self._screen: _Screen | None = _Plain(stream) if quiet or not stream.isatty() else _screen(stream)
        self._live = isinstance(self._screen, _Rich)
        self._speakers: dict[str, _Speaker] = {}
        self._server = ""
        self._redraw_at = 0.0

    @property
    def live(self) -> bool:
        """Whether a live status is shown."""
        return self._live and self._screen is not None

    def on_record(self, record: Record) -> None:
        """Show a record: a listener for the store."""
        event = record.event
        if isinstance(event, events.ModelAnswered):
            whose = races.candidate(event.place)
            self._forget(f"{event.role}, {whose}" if whose else event.role, event.place)
        elif isinstance(event, events.RaceDecided | events.PhaseEnded):  # cancelled calls end without an answer
            for who, speaker in list(self._speakers.items()):
                for call in [call for call in speaker.calls if _is_over(who, call, event)]:
                    self._forget(who, call)
        shown = [line for line in lines.of(event) if line.loud or not self._quiet]
        if shown:
            self._do(lambda screen: screen.show(shown))

    def on_progress(self, role: str, progress: _Progress) -> None:
        """Show that a role's call is alive: at most ten redraws a second; on a pipe, a line for each long wait."""
        if self._quiet or not (self._live or progress.kind == "waiting"):
            return
        speaker = self._speakers.setdefault(role, _Speaker())
        speaker.update(progress)
        if not self._live:
            if speaker.longest >= speaker.notice:
                speaker.notice = 2 * speaker.longest
                self.say(f"  {one_line(role, 40)}: {speaker.state(self._redact)}")
        elif (now := self._clock()) >= self._redraw_at:
            self._redraw_at = now + _REDRAW
            self._status()

    def on_server(self, load: str) -> None:
        """Show the model server's own metrics below the calls in flight; nothing while there are none."""
        self._server = one_line(load, 100)
        if self._speakers:
            self._status()

    def say(self, text: str, style: str = "") -> None:
        """Show lines that are not in the log, such as a warning; ``style`` in rich's syntax."""
        shown = [Line(line, style) for line in clean(text).split("\n")]
        self._do(lambda screen: screen.show(shown))

    def close(self) -> None:
        """Remove the live status and restore the cursor."""
        self._speakers.clear()
        self._status()

    def _forget(self, role: str, call: str) -> None:
        speaker = self._speakers.get(role)
        if speaker and (speaker.calls.pop(call, None) or speaker.calls.pop("", None)):
            if not speaker.calls:
                del self._speakers[role]
            self._status()

    def _status(self) -> None:
        states = [f"  {one_line(role, 40)}: {who.state(self._redact)}" for role, who in self._speakers.items()]
        if states and self._server:
            states.append(f"  server: {self._server}")
        self._do(lambda screen: screen.status(states))

    def _do(self, act: "Callable[[_Screen], None]") -> None:
        if self._screen is None:
            return
        try:
            act(self._screen)
        except (OSError, ValueError):  # the pipe, the terminal or the file is closed
            self._screen = None

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_over(who: str, call: str, event: events.RaceDecided | events.PhaseEnded) -> bool:
    if isinstance(event, events.RaceDecided):
        return _RACING.search(who) is not None
    return places.contains(event.place, call)


class _Speaker:
    """The calls in flight of one role. ``notice``: the seconds of waiting after which plain output reports it."""

    def __init__(self) -> None:
        self.calls: dict[str, _Call] = {}
        self.notice = _FIRST_NOTICE

    def update(self, progress: _Progress) -> None:
        call = self.calls.get(progress.call)
        if call is None or progress.seconds < call.last.seconds:  # a smaller time means another request
            call = self.calls[progress.call] = _Call(progress)
            if len(self.calls) == 1:
                self.notice = _FIRST_NOTICE
        call.update(progress)

    @property
    def longest(self) -> float:
        """The longest waiting time, in seconds, among calls that have received nothing yet."""
        return max((call.last.seconds for call in self.calls.values() if call.began is None), default=0.0)

    def state(self, redact: Callable[[str], str]) -> str:
        """The state of the call that has got furthest, and the number of other calls."""
        call = max(self.calls.values(), key=lambda call: (call.last.tokens, call.last.seconds))
        more = f"  (and {len(self.calls) - 1} more in parallel)" if len(self.calls) > 1 else ""
        return call.state(redact) + more


class _Call:
    """A call in flight and its progress so far."""

    def __init__(self, first: _Progress) -> None:
        self.last = first
        self.began: float | None = None
        self.tail = ""

    def update(self, progress: _Progress) -> None:
        if progress.kind != "waiting" and self.began is None:
            self.began = progress.seconds
        self.last = progress
        self.tail = (self.tail + progress.text)[-_KEPT:]

    def state(self, redact: Callable[[str], str]) -> str:
        last = self.last
        if self.began is None:
            return f"waiting for the first token, {last.seconds:.0f} s"
        writing = last.seconds - self.began
        rate = f", {(last.tokens - 1) / writing:.0f}/s" if writing > 0.05 and last.tokens > 1 else ""
        doing = "thinking, " if last.kind == "reasoning" else ""
        return f"{doing}{last.tokens:,} tokens{rate}  {one_line(self._shown(redact), 4 * _TAIL)[-_TAIL:]}"

    def _shown(self, redact: Callable[[str], str]) -> str:
        """The end of what arrived, up to the last complete word."""
        whole = max(self.tail.rfind(space) for space in " \n\t") + 1
        return redact(self.tail[:whole])[-4 * _TAIL :]


class _Screen(Protocol):
    def show(self, shown: Sequence[Line]) -> None: ...

    def status(self, states: Sequence[str]) -> None: ...


class _Plain:
    """Lines and nothing else: no colour, no cursor movement."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, shown: Sequence[Line]) -> None:
        self._stream.write("".join(f"{line.text}\n" for line in shown))
        self._stream.flush()

    def status(self, states: Sequence[str]) -> None:
        """Does nothing: plain output has no live status."""


class _Rich:
    """Coloured lines, and below them a status that is redrawn in place."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._live: Live | None = None

    def show(self, shown: Sequence[Line]) -> None:
        from rich.text import Text

        for line in shown:
            self._console.print(Text(line.text, style=line.style), soft_wrap=True)

    def status(self, states: Sequence[str]) -> None:
        from rich.live import Live
        from rich.text import Text

        if not states:
            live, self._live = self._live, None
            if live is not None:
                live.stop()
            return
        if self._live is None:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        text = Text("\n".join(states), style="dim", no_wrap=True, overflow="ellipsis")
        self._live.update(text, refresh=True)


def _screen(stream: TextIO) -> _Screen:
    """The best screen for a terminal. rich is imported here, so that a pipe is spared the 60 ms."""
    from rich.console import Console

    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    return _Plain(stream) if console.is_dumb_terminal else _Rich(console)

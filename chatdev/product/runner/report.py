"""What leaves the sandbox: reports on a private channel, and errors as text."""

import os

TYPE_CHECKING = False  # as in typing, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable
    from traceback import TracebackException

    Say = Callable[..., None]

_NONCE = 32
_CHANNEL = 200  # so high that programs which count their descriptors do not reach it
_LONGEST_WHY = 3000
_FRAMES = 12


def open_channel() -> "tuple[Say, Callable[[], None]]":
    """Take the nonce and the standard output. The first function reports one line; only one process can, this one until
    another calls the second function."""
    nonce = b""
    while len(nonce) < _NONCE and (piece := os.read(0, _NONCE - len(nonce))):
        nonce += piece
    os.dup2(1, _CHANNEL, inheritable=False)
    os.dup2(2, 1)
    owner, getpid, write = [os.getpid()], os.getpid, os.write

    def say(*fields: str) -> None:
        if getpid() != owner[0]:  # a test forked, and its child returned here
            return
        text = "".join("\x1f" + field.replace("\x1f", " ").replace("\n", "\x1e") for field in fields)
        line = b"\n%s%s\n" % (nonce, text.encode(errors="backslashreplace"))
        try:
            while line:
                line = line[write(_CHANNEL, line) :]
        except OSError:
            return  # closed by the product: the missing line is the report

    def adopt() -> None:
        owner[0] = getpid()

    return say, adopt


def explain(error: BaseException, root: str) -> str:
    """A traceback for a programmer: only the product's frames, paths relative to it, only the end if it is long."""
    try:
        import traceback

        trace = traceback.TracebackException.from_exception(error, limit=0, compact=True)
        _keep_own_frames(trace, error, root)
        text = "".join(trace.format())
    except BaseException as failure:  # an exception may be anything, its own __str__ included
        text = f"{type(error).__name__} (which cannot be shown: {type(failure).__name__})"
    return text.strip()[-_LONGEST_WHY:]


def _keep_own_frames(trace: "TracebackException", error: BaseException, root: str) -> None:
    import linecache
    import traceback

    frames = []
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = os.path.normpath(frame.f_code.co_filename)
        if path.startswith(root + os.sep):
            source = linecache.getline(path, line).strip()
            frames.append(traceback.FrameSummary(path[len(root) + 1 :], line, frame.f_code.co_name, line=source))
    trace.stack = traceback.StackSummary.from_list(frames[-_FRAMES:])
    for linked, cause in ((trace.__cause__, error.__cause__), (trace.__context__, error.__context__)):
        if linked and cause:
            _keep_own_frames(linked, cause, root)


def missing_module(error: BaseException) -> str:
    """The missing module that caused an error, directly or through its cause or context; empty if there is none."""
    link: BaseException | None = error
    for _ in range(_FRAMES):
        if isinstance(link, ModuleNotFoundError) and link.name:
            return link.name
        link = link and (link.__cause__ or link.__context__)
    return ""

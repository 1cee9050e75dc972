"""Creates a product's own Python environment, with the packages that it needs."""

import sys
from collections.abc import Iterator
from pathlib import Path

from chatdev.errors import UserError
from chatdev.redaction import Redactor, values
from chatdev.sandbox.port import Job, Limits, Sandbox
from chatdev.settings.others import PipSettings

LIMITS = Limits(seconds=1800, memory=4 << 30, processes=256, file_size=8 << 30)
"""For each step. The largest wheels (torch with its CUDA libraries) are several gigabytes; a connection may be slow."""
_CONFIG = "pip.conf"


async def install(sandbox: Sandbox, place: Path, packages: tuple[str, ...], pip: PipSettings) -> str:
    """Recreate the environment at ``place`` and install ``packages`` there; the path of its interpreter.

    Both steps are jobs of ``sandbox``: without the user's variables, keys and home, in their own folder, within
    limits. Of pip's settings they see those in ``pip``. They may write to ``place``, and the second may use the
    network. Only wheels are installed, since building anything else would run third-party code. Raises UserError with
    pip's output, and SandboxError.
    """
    place = place.resolve()
    place.mkdir(parents=True, exist_ok=True)
    python, writes = place / "bin" / "python", (str(place),)
    alone = (sys.executable, "-I", "-m")  # -I: imports nothing from the current folder or the user's site-packages
    make = Job((*alone, "venv", "--clear", "--without-pip", str(place)), {}, limits=LIMITS, writes=writes)
    await _step(sandbox, make, "The Python environment cannot be created")
    options = ("--python", str(python), "--disable-pip-version-check", "--no-input", "--no-cache-dir")
    words = ("install", "--quiet", "--only-binary", ":all:", "--", *packages)
    get = Job(
        (*alone, "pip", *options, *words),
        {_CONFIG: pip.config},
        limits=LIMITS,
        environment={**pip.environment, "PIP_CONFIG_FILE": _CONFIG},
        reads=tuple(_named(pip)),
        writes=writes,
        online=True,
    )
    await _step(sandbox, get, "The packages cannot be installed")
    return str(python)


def _named(pip: PipSettings) -> Iterator[str]:
    """The files and folders of this machine that pip's settings name: certificates, local wheels."""
    words = " ".join((*pip.environment.values(), pip.config.decode(errors="replace"))).split()
    for word in words:
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            yield str(path.parent if path.name == "simple" else path)  # an index's pages link to files beside them


async def _step(sandbox: Sandbox, job: Job, failure: str) -> None:
    ended = await sandbox.run(job)
    if ended.exit_status == 0:
        return
    settings = " ".join((*job.environment.values(), job.files.get(_CONFIG, b"").decode(errors="replace"))).split()
    logins = Redactor(values((), *(word for word in settings if "@" in word)))
    tried = [logins.text(line) for line in ended.stderr.splitlines() if line.strip()][-3:]
    busy = " (the machine was too busy)" if ended.stopped == "starved" else ""
    limit = busy or (f" (stopped by the {ended.stopped} limit)" if ended.stopped else "")
    raise UserError(f"{failure}{limit}.", tried=tried, do="Correct requirements.txt, or install the packages yourself.")

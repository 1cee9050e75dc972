"""A Python environment of a product's own, for the packages that it needs."""

import sys
from collections.abc import Iterator
from pathlib import Path

from chatdev.errors import UserError
from chatdev.redaction import Redactor, values
from chatdev.sandbox.port import Job, Limits, Sandbox
from chatdev.settings.others import Pip

LIMITS = Limits(seconds=1800, memory=4 << 30, processes=256, file_size=8 << 30)
"""Of each step. The largest wheels (torch with its CUDA libraries) have some gigabytes, and a line may be slow."""
_CONFIG = "pip.conf"


async def install(sandbox: Sandbox, place: Path, packages: tuple[str, ...], pip: Pip) -> str:
    """Make the environment at ``place`` anew and install ``packages`` there; the path of its interpreter.

    Both steps are jobs of ``sandbox``: without the user's variables, keys and home, in a folder of their own, in
    limits. Of pip's own set-up they see what ``pip`` holds. They may write to ``place``, and the second may use the
    network. Wheels alone are installed, since building anything else would run a stranger's program. Raises UserError
    with pip's own words, and SandboxError.
    """
    place = place.resolve()
    place.mkdir(parents=True, exist_ok=True)
    python, writes = place / "bin" / "python", (str(place),)
    alone = (sys.executable, "-I", "-m")  # -I: nothing is imported from the current folder or the user's own
    make = Job((*alone, "venv", "--clear", "--without-pip", str(place)), {}, limits=LIMITS, writes=writes)
    await _step(sandbox, make, "The environment cannot be made")
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


def _named(pip: Pip) -> Iterator[str]:
    """The files and folders of this machine that pip's set-up names: certificates, wheels that lie here."""
    words = " ".join((*pip.environment.values(), pip.config.decode(errors="replace"))).split()
    for word in words:
        path = Path(word.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            yield str(path.parent if path.name == "simple" else path)  # an index's pages link to files beside them


async def _step(sandbox: Sandbox, job: Job, failure: str) -> None:
    ended = await sandbox.run(job)
    if ended.exit_status == 0:
        return
    logins = Redactor(secret for value in job.environment.values() if "@" in value for secret in values((), value))
    tried = [logins.text(line) for line in ended.stderr.splitlines() if line.strip()][-3:]
    busy = " (the machine was too busy)" if ended.stopped == "starved" else ""
    limit = busy or (f" (stopped at the limit of {ended.stopped})" if ended.stopped else "")
    raise UserError(f"{failure}{limit}.", tried=tried, do="Mend requirements.txt, or install them yourself.")

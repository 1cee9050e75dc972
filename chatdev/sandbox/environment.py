"""A Python environment of a product's own, for the packages that it needs."""

import sys
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
    limits. Of pip's own set-up they see what ``pip`` holds. They write to ``place``, and the second needs the network:
    a sandbox that withholds either has to grant them for these two jobs. Wheels alone are installed, since building
    anything else would run a stranger's program. Raises UserError with pip's own words, and SandboxError.
    """
    python = place.absolute() / "bin" / "python"
    alone = (sys.executable, "-I", "-m")  # -I: nothing is imported from the current folder or the user's own
    make = Job((*alone, "venv", "--clear", "--without-pip", str(place.absolute())), {}, limits=LIMITS)
    await _step(sandbox, make, "The environment cannot be made")
    options = ("--python", str(python), "--disable-pip-version-check", "--no-input", "--no-cache-dir")
    words = ("install", "--quiet", "--only-binary", ":all:", "--", *packages)
    get = Job(
        (*alone, "pip", *options, *words),
        {_CONFIG: pip.config},
        limits=LIMITS,
        environment={**pip.environment, "PIP_CONFIG_FILE": _CONFIG},
    )
    await _step(sandbox, get, "The packages cannot be installed")
    return str(python)


async def _step(sandbox: Sandbox, job: Job, failure: str) -> None:
    ended = await sandbox.run(job)
    if ended.exit_status == 0:
        return
    logins = Redactor(secret for value in job.environment.values() if "@" in value for secret in values((), value))
    tried = [logins.text(line) for line in ended.stderr.splitlines() if line.strip()][-3:]
    limit = f" (stopped at the limit of {ended.stopped})" if ended.stopped else ""
    raise UserError(f"{failure}{limit}.", tried=tried, do="Mend requirements.txt, or install them yourself.")

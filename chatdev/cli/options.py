"""The options that ``run.py`` and ``chatdev build`` share."""

import sys
from pathlib import Path

import click

MODEL_HELP = """\
VLLM (or VLLM_LOCAL): the server at VLLM_ENDPOINT. DEMO: recorded answers, no model needed. STUB: a fixed answer.
openai:NAME, or a name of ChatDev 1.0 (GPT_4O, …): OpenAI, with OPENAI_API_KEY. Without this option: VLLM_ENDPOINT if
it is set, else OpenAI if its key is, else a server on http://localhost:8000/v1."""

ROLE_MODEL_HELP = """\
Another model for a role or a phase: "Programmer=NAME", served (an adapter, too) where the others are, or
"Programmer=NAME@http://host:8001/v1", or "Programmer=openai:NAME". May be given several times."""

ENVIRONMENT = """
\b
Environment (chatdev.toml in this folder may hold the same; the environment wins):
  VLLM_ENDPOINT     your server, any OpenAI-compatible one  [http://localhost:8000/v1]
  VLLM_MODEL_NAME   which of its models                     [default: whatever is served]
  VLLM_API_KEY      if it wants a key
  VLLM_DEBUG        1: requests and answers to stderr and debug.log
  OPENAI_API_KEY    the fallback when VLLM_ENDPOINT is set but does not answer, and for OpenAI's models
  OPENAI_MODEL, OPENAI_BASE_URL

Exit status: 0 only if the product passed its acceptance tests, or starts where the company writes none; 1 for any
other end; 2 for usage or set-up; 130 after Ctrl-C, which saves the run.
"""


def read_task(task: str) -> str:
    """The task itself: ``-`` reads standard input, ``@FILE`` a file in UTF-8. Raises click.UsageError."""
    try:
        if task == "-":
            return sys.stdin.buffer.read().decode("utf-8").strip()
        if task.startswith("@"):
            return Path(task[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"The task cannot be read: {error}.") from error
    return task.encode("utf-8", "replace").decode()  # bytes of the command line that are not UTF-8 cannot be sent


def refuse_path(path: str) -> None:
    """``--path`` belongs to companies that start from existing code, of which there is none yet."""
    if path:
        raise click.UsageError(
            "--path is for a company that extends existing code, and none of those is here yet. Leave it out."
        )

"""The options that several commands share, such as ``run.py``, ``chatdev build`` and ``chatdev resume``."""

import functools
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from chatdev import textfile
from chatdev.errors import UserError
from chatdev.run_options import RunOptions

MODEL_HELP = """\
VLLM (or VLLM_LOCAL): your servers at VLLM_ENDPOINT. NAME: the model that they serve under this name. openai:NAME, or
a ChatDev 1.0 name such as GPT_4O: OpenAI, needs OPENAI_API_KEY. DEMO: recorded answers to a few tasks, no model needed.
STUB: one fixed answer. A new run without --model uses VLLM_ENDPOINT if set, else OpenAI if its key is set, else
http://localhost:8000/v1."""

ROLE_MODEL_HELP = """\
Use another model for one role or phase: "Programmer=NAME" (a model or adapter on the same server),
"Programmer=NAME@http://host:8001/v1" (another server) or "Programmer=openai:NAME". Repeatable."""

CANDIDATES_HELP = """\
N programmers solve each coding phase in parallel; the first that passes wins, the rest are cancelled."""

SAMPLE_HELP = """\
Build another sample of the same task: N is the random seed of all calls, so another N gives other drafts. Default: no
seed but the company's own."""

ENDPOINT_HELP = """\
Use this server, such as gpu-1:8000, instead of VLLM_ENDPOINT. Repeatable: servers are tried in this order. Servers
with the same model are replicas; the run stays on the least loaded one."""

ENVIRONMENT = """
\b
Environment variables (chatdev.toml in this folder can set them too; a
variable wins over the file):
  VLLM_ENDPOINT             your OpenAI-compatible server(s), comma-separated
                            [default: http://localhost:8000/v1]
  VLLM_MODEL_NAME           the model to use  [default: whatever is served]
  VLLM_API_KEY              the server's API key, if it needs one
  VLLM_DEBUG=1              log requests and answers, keys masked, to stderr
                            and debug.log
  OPENAI_API_KEY            for OpenAI models; also the fallback if no server
                            at a set VLLM_ENDPOINT answers
  OPENAI_MODEL              the OpenAI model to use
  OPENAI_BASE_URL           the address to use instead of OpenAI's own
  CHATDEV_LOCAL_ONLY=1      same as --local-only
  CHATDEV_SECOND_OPINION=1  same as --second-opinion
  OTEL_EXPORTER_OTLP_ENDPOINT
                            OpenTelemetry collector for the run's spans

Exit status of a run: 0 only if the product passed its acceptance tests (or starts, if the company writes no tests);
1 for any other result; 2 for wrong usage or setup; 130 after Ctrl-C. A run stopped by Ctrl-C can be resumed.
"""

IGNORE_HELP = """\
Leave out the switches and phases of a ChatDev 1.0 folder that are not supported, such as Art and with_memory. The
terminal and REPORT.md list them."""

Decorator = Callable[[Callable[..., None]], Callable[..., None]]

_OF_FIELDS: Mapping[str, tuple[Decorator, ...]] = {
    "role_models": (
        click.option("--role-model", "role_models", multiple=True, metavar="ROLE=MODEL", help=ROLE_MODEL_HELP),
    ),
    "limits": (
        click.option(
            "--max-calls", "calls", type=click.IntRange(min=1), help="Stop after N model calls and judge the result."
        ),
        click.option(
            "--max-tokens-total",
            "tokens",
            type=click.IntRange(min=1),
            help="Stop after N tokens, prompts and answers together.",
        ),
        click.option(
            "--max-minutes",
            "minutes",
            type=click.FloatRange(min=0, min_open=True),
            help="Stop after N minutes of work, all attempts together.",
        ),
    ),
    "candidates": (click.option("--candidates", type=click.IntRange(1, 16), help=CANDIDATES_HELP),),
    "effort": (
        click.option(
            "--effort",
            type=click.Choice(["low", "normal", "high"]),
            help="How much work the company does; high replaces the default company by full. Default: by model size.",
        ),
    ),
    "settings": (
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="PHASE.KEY=VALUE",
            help="Change a key of a phase, as in Drafting.candidates=2, or skip a step: STEP=off. Repeatable.",
        ),
    ),
    "sample": (click.option("--sample", type=click.IntRange(1, 999), metavar="N", help=SAMPLE_HELP),),
    "ignore_unsupported": (click.option("--ignore-unsupported", is_flag=True, help=IGNORE_HELP),),
    "network": (
        click.option(
            "--topology",
            type=click.Choice(["chain", "star", "tree", "mesh", "layered", "random"]),
            help="Let a network of agents write the program, not one programmer: docs/networks.md. Needs --agents.",
        ),
        click.option("--agents", type=click.IntRange(1, 10_000), help="Number of agents in the network of --topology."),
    ),
    "endpoints": (click.option("--endpoint", "endpoints", multiple=True, metavar="URL", help=ENDPOINT_HELP),),
    "local_only": (
        click.option("--local-only", is_flag=True, help="Never send anything to OpenAI, not even as a fallback."),
    ),
    "max_cost": (
        click.option(
            "--max-cost",
            type=click.FloatRange(min=0),
            metavar="DOLLARS",
            help="Spending limit for OpenAI, in US dollars. A call that could exceed it is not made.",
        ),
    ),
    "wait": (
        click.option(
            "--wait",
            type=click.FloatRange(min=0),
            metavar="MINUTES",
            help="Wait this long for a server that does not answer when the run starts.",
        ),
    ),
    "second_opinion": (
        click.option(
            "--second-opinion",
            is_flag=True,
            help="If answers stay empty, cut off or unusable, ask the next endpoint, for that phase only.",
        ),
    ),
}
"""The options that set each field of ``RunOptions``, in the order of the help. An option has the name of its field,
except those that ``_value`` combines."""


def run_options(*fields: str) -> Decorator:
    """Add the options that set these fields of ``RunOptions``, or all of them if none is named; the command takes them
    as one argument, ``typed``."""
    chosen = [name for name in _OF_FIELDS if not fields or name in fields]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapped(**arguments: Any) -> None:
            values = {name: _value(name, arguments) for name in chosen}
            typed = RunOptions(**{name: value for name, value in values.items() if value is not None})
            command(typed=typed, **arguments)

        decorated: Callable[..., None] = wrapped
        for option in reversed([option for name in chosen for option in _OF_FIELDS[name]]):
            decorated = option(decorated)
        return decorated

    return decorate


def _value(field: str, arguments: dict[str, Any]) -> Any:
    """Take the value of a field out of the arguments; None if it was not typed. Raises click.UsageError."""
    if field == "limits":
        limits = {name: arguments.pop(name) for name in ("calls", "tokens", "minutes")}
        return {name: value for name, value in limits.items() if value is not None}
    if field == "network":
        network = {name: arguments.pop(name) for name in ("topology", "agents")}
        if None in network.values() and any(network.values()):
            raise click.UsageError("--topology and --agents need each other: --topology tree --agents 7.")
        return json.dumps(network, separators=(",", ":")) if network["topology"] else None
    return arguments.pop(field)


def gathered(kind: Callable[..., Any], name: str) -> Decorator:
    """Pass all arguments that are fields of this NamedTuple to the command as one, called ``name``."""
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapped(**arguments: Any) -> None:
            values = {field: arguments.pop(field) for field in fields}
            command(**{name: kind(**values)}, **arguments)

        return wrapped

    return decorate


class WatchOptions(NamedTuple):
    """How a run is watched and its programs are isolated. ``metrics_port`` is None for no metrics; ``otel_endpoint`` is
    a collector's base address; ``unsafe`` runs programs without a sandbox, ``engine`` runs them in its containers."""

    quiet: bool = False
    as_json: bool = False
    metrics_port: int | None = None
    otel_endpoint: str = ""
    unsafe: bool = False
    engine: str = ""


UNSAFE_HELP = """\
Run generated code unsandboxed as your user: it can read your files and use your network. Only for disposable
machines."""


def sandbox_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose the sandbox; the command takes ``unsafe`` and ``engine``."""
    command = click.option("--unsafe-no-sandbox", "unsafe", is_flag=True, help=UNSAFE_HELP)(command)
    return click.option(
        "--sandbox",
        "engine",
        type=click.Choice(["docker", "podman"]),
        callback=lambda context, option, value: value or "",
        help="Run generated code in containers of this engine instead of the built-in sandbox.",
    )(command)


def watching(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options for watching and sandboxing a run; the command takes them as one argument, ``watch_options``."""

    @click.option("--quiet", is_flag=True, help="Print only phases and the verdict.")
    @click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="json: print each journal record as a JSON line on standard output, as it happens.",
    )
    @click.option(
        "--metrics-port",
        type=click.IntRange(0, 65535),
        default=None,
        help="Serve the run's Prometheus metrics on 127.0.0.1 at this port; 0 picks a free port.",
    )
    @click.option(
        "--otel-endpoint",
        default="",
        metavar="URL",
        help="Send spans to this OpenTelemetry collector, such as http://localhost:4318. Needs the pip extra [otel].",
    )
    @sandbox_options
    @functools.wraps(command)
    def wrapped(
        quiet: bool,
        log_format: str,
        metrics_port: int | None,
        otel_endpoint: str,
        unsafe: bool,
        engine: str,
        **others: Any,
    ) -> None:
        command(
            watch_options=WatchOptions(
                quiet, log_format == "json", metrics_port, otel_endpoint.strip(), unsafe, engine
            ),
            **others,
        )

    return wrapped


def read_task(task: str) -> str:
    """The text of the task: ``-`` reads standard input, ``@FILE`` a UTF-8 file; a text after ``@`` begins with this
    ``@``. Raises click.UsageError."""
    try:
        if task == "-":
            return textfile.decode(sys.stdin.buffer.read(), "standard input").strip()
        if task.startswith("@") and not task.startswith("@@"):
            return textfile.read(Path(task[1:])).strip()
    except OSError as error:
        raise click.UsageError(f"The task cannot be read: {error}.") from error
    except UserError as error:
        more = error.do or 'If the task itself begins with @, write this character twice: --task "@@…".'
        raise click.UsageError(f"The task cannot be read: {error.what} {more}") from error
    # Bytes of the command line that are not UTF-8 cannot be sent; a mark comes from a file that the shell has read.
    return task.removeprefix("@").encode("utf-8", "replace").decode().removeprefix(textfile.BYTE_ORDER_MARK)


def refuse_path(path: str) -> None:
    """Reject ``--path``: it is for companies that start from existing code, and there are none yet."""
    if path:
        raise click.UsageError(
            "--path is for companies that extend existing code, and there are none yet. Leave it out."
        )

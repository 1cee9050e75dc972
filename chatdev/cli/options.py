"""The options that several commands share, such as ``run.py``, ``chatdev build`` and ``chatdev resume``."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

MODEL_HELP = """\
VLLM (or VLLM_LOCAL): your servers at VLLM_ENDPOINT. openai:NAME, or a ChatDev 1.0 name such as GPT_4O: OpenAI, needs
OPENAI_API_KEY. DEMO: recorded answers to a few tasks, no model needed. STUB: one fixed answer. A new run without
--model uses VLLM_ENDPOINT if set, else OpenAI if its key is set, else http://localhost:8000/v1."""

ROLE_MODEL_HELP = """\
Use another model for one role or phase: "Programmer=NAME" (a model or adapter on the same server),
"Programmer=NAME@http://host:8001/v1" (another server) or "Programmer=openai:NAME". Repeatable."""

Limits = dict[str, float]
"""Limits of a run as typed, keyed by the names in ``chatdev.company.budget.Budget``."""


def limited(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that limit what a run spends; the command takes them as one argument, ``limits``."""

    @click.option(
        "--max-calls", "calls", type=click.IntRange(min=1), help="Stop after N model calls and judge the result."
    )
    @click.option(
        "--max-tokens-total",
        "tokens",
        type=click.IntRange(min=1),
        help="Stop after N tokens, prompts and answers together.",
    )
    @click.option(
        "--max-minutes",
        "minutes",
        type=click.FloatRange(min=0, min_open=True),
        help="Stop after N minutes of work, all attempts together.",
    )
    @functools.wraps(command)
    def wrapped(calls: int | None, tokens: int | None, minutes: float | None, **others: Any) -> None:
        typed = {"calls": calls, "tokens": tokens, "minutes": minutes}
        command(limits={name: value for name, value in typed.items() if value is not None}, **others)

    return wrapped


def racing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that lets programmers race; the command takes it as ``candidates``, 0 if it is not given."""

    @click.option(
        "--candidates",
        type=click.IntRange(1, 16),
        help="N programmers solve each coding phase in parallel; the first that passes wins, the rest are cancelled.",
    )
    @functools.wraps(command)
    def wrapped(candidates: int | None, **others: Any) -> None:
        command(candidates=candidates or 0, **others)

    return wrapped


class CompanyFit(NamedTuple):
    """How a company is adjusted to a run. An empty ``effort`` is chosen by the model; ``settings`` are
    ``PHASE.KEY=VALUE``."""

    effort: str = ""
    settings: tuple[str, ...] = ()


def fitted(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that adjust a company to a run; the command takes them as one argument, ``fit``."""

    @click.option(
        "--effort",
        type=click.Choice(["low", "normal", "high"]),
        help="How much work the company does; high replaces the default company by full. Default: by model size.",
    )
    @click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="PHASE.KEY=VALUE",
        help="Change a key of a phase, as in Drafting.candidates=2, or skip a step: STEP=off. Repeatable.",
    )
    @functools.wraps(command)
    def wrapped(effort: str | None, settings: tuple[str, ...], **others: Any) -> None:
        command(fit=CompanyFit(effort or "", settings), **others)

    return wrapped


def networked(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of an agent network; the command takes it as ``network``, None if there is none."""

    @click.option(
        "--topology",
        type=click.Choice(["chain", "star", "tree", "mesh", "layered", "random"]),
        help="Let a network of agents write the program, not one programmer: docs/networks.md. Needs --agents.",
    )
    @click.option("--agents", type=click.IntRange(1, 10_000), help="Number of agents in the network of --topology.")
    @functools.wraps(command)
    def wrapped(topology: str | None, agents: int | None, **others: Any) -> None:
        if (topology is None) != (agents is None):
            raise click.UsageError("--topology and --agents need each other: --topology tree --agents 7.")
        from msgspec import convert

        from chatdev.company.graph import Network

        command(network=convert({"topology": topology, "agents": agents}, Network) if topology else None, **others)

    return wrapped


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


ENDPOINT_HELP = """\
Use this server, such as gpu-1:8000, instead of VLLM_ENDPOINT. Repeatable: servers are tried in this order. Servers
with the same model are replicas; the run stays on the least loaded one."""


def reaching(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which endpoints may be reached; the command takes them as one argument, ``reach``."""

    @click.option("--endpoint", "endpoints", multiple=True, metavar="URL", help=ENDPOINT_HELP)
    @click.option("--local-only", is_flag=True, help="Never send anything to OpenAI, not even as a fallback.")
    @click.option(
        "--max-cost",
        type=click.FloatRange(min=0),
        default=None,
        metavar="DOLLARS",
        help="Spending limit for OpenAI, in US dollars. A call that could exceed it is not made.",
    )
    @click.option(
        "--second-opinion",
        is_flag=True,
        help="If answers stay empty, cut off or unusable, ask the next endpoint, for that phase only.",
    )
    @functools.wraps(command)
    def wrapped(
        endpoints: tuple[str, ...], local_only: bool, max_cost: float | None, second_opinion: bool, **others: Any
    ) -> None:
        from chatdev.runs import EndpointPolicy

        command(reach=EndpointPolicy(endpoints, local_only, max_cost, second_opinion), **others)

    return wrapped


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
    """Add the options for watching and sandboxing a run; the command takes them as one argument, ``how``."""

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
            how=WatchOptions(quiet, log_format == "json", metrics_port, otel_endpoint.strip(), unsafe, engine), **others
        )

    return wrapped


def read_task(task: str) -> str:
    """The text of the task: ``-`` reads standard input, ``@FILE`` a UTF-8 file. Raises click.UsageError."""
    try:
        if task == "-":
            return sys.stdin.buffer.read().decode("utf-8").strip()
        if task.startswith("@"):
            return Path(task[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"The task cannot be read: {error}.") from error
    return task.encode("utf-8", "replace").decode()  # non-UTF-8 bytes of the command line cannot be sent


def refuse_path(path: str) -> None:
    """Reject ``--path``: it is for companies that start from existing code, and there are none yet."""
    if path:
        raise click.UsageError(
            "--path is for companies that extend existing code, and there are none yet. Leave it out."
        )

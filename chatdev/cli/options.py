"""The options that ``run.py``, ``chatdev build`` and ``chatdev resume`` share."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

MODEL_HELP = """\
VLLM (or VLLM_LOCAL): the servers at VLLM_ENDPOINT. DEMO: recorded answers, no model needed. STUB: a fixed answer.
openai:NAME, or a name of ChatDev 1.0 (GPT_4O, …): OpenAI, with OPENAI_API_KEY. Without this option: VLLM_ENDPOINT if
it is set, else OpenAI if its key is, else a server on http://localhost:8000/v1."""

ROLE_MODEL_HELP = """\
Another model for a role or a phase: "Programmer=NAME", served (an adapter, too) where the others are, or
"Programmer=NAME@http://host:8001/v1", or "Programmer=openai:NAME". May be given several times."""

Limits = dict[str, float]
"""Limits of a run as typed, by the names of ``chatdev.company.budget.Budget``."""


def limited(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that bound what a run spends; the command takes them as one argument, ``limits``."""

    @click.option(
        "--max-calls", "calls", type=click.IntRange(min=1), help="End the run, and judge it, after so many answers."
    )
    @click.option(
        "--max-tokens-total",
        "tokens",
        type=click.IntRange(min=1),
        help="… after so many tokens, prompts and answers together.",
    )
    @click.option(
        "--max-minutes",
        "minutes",
        type=click.FloatRange(min=0, min_open=True),
        help="… after so many minutes of work, all attempts together.",
    )
    @functools.wraps(command)
    def wrapped(calls: int | None, tokens: int | None, minutes: float | None, **others: Any) -> None:
        typed = {"calls": calls, "tokens": tokens, "minutes": minutes}
        command(limits={name: value for name, value in typed.items() if value is not None}, **others)

    return wrapped


def racing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that lets programmers race; the command takes it as ``candidates``, 0 where it is not given."""

    @click.option(
        "--candidates",
        type=click.IntRange(1, 16),
        help="So many programmers solve a phase at once; the first whose tests pass wins, the others are cancelled.",
    )
    @functools.wraps(command)
    def wrapped(candidates: int | None, **others: Any) -> None:
        command(candidates=candidates or 0, **others)

    return wrapped


class Fit(NamedTuple):
    """How a company is fitted to a run: ``effort`` is empty for what fits the model, ``settings`` are
    ``PHASE.KEY=VALUE``."""

    effort: str = ""
    settings: tuple[str, ...] = ()


def fitted(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that fit a company to a run; the command takes them as one argument, ``fit``."""

    @click.option(
        "--effort",
        type=click.Choice(["low", "normal", "high"]),
        help="How much the company does; high takes the company with all roles. Default: by the model's size.",
    )
    @click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="PHASE.KEY=VALUE",
        help="Another value for a key of a phase, or STEP=off. May be given several times.",
    )
    @functools.wraps(command)
    def wrapped(effort: str | None, settings: tuple[str, ...], **others: Any) -> None:
        command(fit=Fit(effort or "", settings), **others)

    return wrapped


def networked(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a collaboration network; the command takes it as ``network``, None where there is none."""

    @click.option(
        "--topology",
        type=click.Choice(["chain", "star", "tree", "mesh", "layered", "random"]),
        help="A network of agents writes the program, in the place of one programmer: docs/networks.md.",
    )
    @click.option("--agents", type=click.IntRange(1, 10_000), help="How many agents that network has.")
    @functools.wraps(command)
    def wrapped(topology: str | None, agents: int | None, **others: Any) -> None:
        if (topology is None) != (agents is None):
            raise click.UsageError("--topology and --agents come together: --topology tree --agents 7.")
        from msgspec import convert

        from chatdev.company.graph import Network

        command(network=convert({"topology": topology, "agents": agents}, Network) if topology else None, **others)

    return wrapped


ENVIRONMENT = """
\b
Environment (chatdev.toml in this folder may hold the same; the environment wins):
  VLLM_ENDPOINT     your server, any OpenAI-compatible one  [http://localhost:8000/v1]; several with commas between
  VLLM_MODEL_NAME   which of its models                     [default: whatever is served]
  VLLM_API_KEY      if it wants a key
  VLLM_DEBUG        1: requests and answers to stderr and debug.log
  OPENAI_API_KEY    the fallback when an endpoint is set but does not answer, and for OpenAI's models
  CHATDEV_LOCAL_ONLY  1: no fallback to OpenAI, ever
  CHATDEV_SECOND_OPINION  1: as --second-opinion
  OPENAI_MODEL, OPENAI_BASE_URL
  OTEL_EXPORTER_OTLP_ENDPOINT  a collector of OpenTelemetry, for spans of the run

Exit status: 0 only if the product passed its acceptance tests, or starts where the company writes none; 1 for any
other end; 2 for usage or set-up; 130 after Ctrl-C, which saves the run.
"""


ENDPOINT_HELP = """\
Ask this server, such as gpu-1:8000, instead of VLLM_ENDPOINT. Given several times: in this order; those that serve the
same model are replicas, of which the run is kept on the one with the least load."""


def reaching(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which endpoints may be reached; the command takes them as one argument, ``reach``."""

    @click.option("--endpoint", "endpoints", multiple=True, metavar="URL", help=ENDPOINT_HELP)
    @click.option("--local-only", is_flag=True, help="Never fall back to OpenAI: nothing leaves for another company.")
    @click.option(
        "--max-cost",
        type=click.FloatRange(min=0),
        default=None,
        metavar="DOLLARS",
        help="The most that OpenAI may take for this run; checked before each call, by what it could cost.",
    )
    @click.option(
        "--second-opinion",
        is_flag=True,
        help="Where answers stay empty, cut or unusable, ask the next endpoint, for that phase alone.",
    )
    @functools.wraps(command)
    def wrapped(
        endpoints: tuple[str, ...], local_only: bool, max_cost: float | None, second_opinion: bool, **others: Any
    ) -> None:
        from chatdev.runs import Reach

        command(reach=Reach(endpoints, local_only, max_cost, second_opinion), **others)

    return wrapped


class How(NamedTuple):
    """How a run is watched, and whether its programs are. ``metrics_port`` is None for no metrics; ``otel_endpoint`` a
    collector's base address; ``unsafe`` allows programs that run without a sandbox's walls,
    ``engine`` puts them into its containers."""

    quiet: bool = False
    as_json: bool = False
    metrics_port: int | None = None
    otel_endpoint: str = ""
    unsafe: bool = False
    engine: str = ""


UNSAFE_HELP = """\
Run what a model wrote as your own user, without walls: it can read your files and use your network. Only for a
machine that you can lose."""


def walled(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say between which walls programs run; the command takes ``unsafe`` and ``engine``."""
    command = click.option("--unsafe-no-sandbox", "unsafe", is_flag=True, help=UNSAFE_HELP)(command)
    return click.option(
        "--sandbox",
        "engine",
        type=click.Choice(["docker", "podman"]),
        callback=lambda context, option, value: value or "",
        help="Run programs in its containers, in place of the best walls of our own that hold here.",
    )(command)


def watching(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how a run is watched and walled; the command takes them as one argument, ``how``."""

    @click.option("--quiet", is_flag=True, help="Only phases and the verdict.")
    @click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="json: each record of the journal as a JSON line on standard output, as it happens.",
    )
    @click.option(
        "--metrics-port",
        type=click.IntRange(0, 65535),
        default=None,
        help="Serve the run's metrics to Prometheus on 127.0.0.1 at this port; 0 takes a free one.",
    )
    @click.option(
        "--otel-endpoint",
        default="",
        metavar="URL",
        help="Send spans to this OpenTelemetry collector, as in http://localhost:4318. Needs chatdev[otel].",
    )
    @walled
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
        command(how=How(quiet, log_format == "json", metrics_port, otel_endpoint.strip(), unsafe, engine), **others)

    return wrapped


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

"""``chatdev serve``: start, follow and stop a model server on this machine."""

import os
import shlex
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from chatdev.cli import common, options

if TYPE_CHECKING:
    from chatdev.ops.machine import Machine
    from chatdev.ops.serving.engines import Engine, ServePlan, ServeSpec
    from chatdev.ops.serving.fit import Fit
    from chatdev.ops.serving.weights import Need
    from chatdev.settings import Secret, Settings
    from chatdev.settings.others import HubSettings


class ServeOptions(NamedTuple):
    """How a model is served; what was not typed is None or empty."""

    engine: "Engine | None"
    port: int
    window: int | None
    name: str
    key: str
    speculate: bool
    force: bool
    dry_run: bool


@click.command(name="serve")
@click.argument("model")
@click.argument("extra", nargs=-1, type=click.UNPROCESSED, metavar="[-- ENGINE_FLAGS]")
@click.option(
    "--engine", type=click.Choice(["vllm", "docker", "tgi", "llamacpp"]), help="Default: chosen for this machine."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 picks a free port.")
@click.option(
    "--window",
    type=click.IntRange(256),
    help="Context window in tokens. Default: up to 32,768 if model and memory allow.",
)
@click.option("--name", default="", help="Model name for clients. Default: the last part of MODEL.")
@click.option(
    "--key",
    default="",
    help="API key that clients must send. VLLM_API_KEY sets it too, unseen by other users.",
)
@click.option("--speculate", is_flag=True, help="Speculative decoding with n-grams of the prompt. Not measured yet.")
@click.option("--force", is_flag=True, help="Start even if the model should not fit into memory.")
@click.option("--dry-run", is_flag=True, help="Show the command and its reasons without starting it.")
@options.gathered(ServeOptions, "serving")
def command(
    model: str,
    extra: tuple[str, ...],
    serving: ServeOptions,
) -> None:
    """Start a model server that fits this machine.

    MODEL is a .gguf file, a model folder, or a name on the Hugging Face Hub. The engine is vLLM if there is a GPU, else
    llama.cpp; ENGINE_FLAGS are passed on to it. The command is shown with a reason for each flag. Ctrl-C stops the
    server and all its processes. docs/serve.md has the details.

    Exit status: 1 if the server fails, 2 if it cannot be started, 130 after Ctrl-C.
    """
    from chatdev import settings
    from chatdev.errors import ChatDevError
    from chatdev.ops.serving import serve
    from chatdev.ops.serving.engines import ServeSpec
    from chatdev.settings import others

    if extra and not extra[0].startswith("-"):
        raise click.UsageError(f"One model at a time, and {extra[0]!r} is another. Put the engine's own flags after --")
    try:
        serve.refuse_other_systems(sys.platform)
        user_settings = settings.load_here()
        secret = settings.Secret(serving.key) if serving.key else user_settings.vllm_api_key
        spec = ServeSpec(
            model=model,
            port=serving.port or serve.free_port(),
            name=serving.name,
            key=secret is not None,
            speculate=serving.speculate,
            extra=extra,
            container=f"chatdev-{os.getpid()}",
            gpus=others.visible_gpus(),
        )
        common.run(_serve(spec, serving, user_settings, secret))
    except ChatDevError as error:
        common.fail(error)


async def _serve(
    spec: "ServeSpec",
    serving: ServeOptions,
    user_settings: "Settings",
    key: "Secret | None",
) -> None:
    from chatdev.ops import machine
    from chatdev.ops.serving import engines, hub, serve
    from chatdev.settings.others import load_hub

    hub_settings = load_hub()
    hardware = machine.only(machine.detect(), spec.gpus)
    need = await hub.find(spec.model, hub_settings)
    engine, why = (serving.engine, "you asked for it") if serving.engine else engines.chosen(hardware, need)
    serve.check_model(engine, spec, need)
    fit = serve.fitted(engine, need, hardware, serving.window, force=serving.force)
    plan = engines.plan(engine, spec, hardware, need, fit, hub_settings)
    click.echo(_shown(plan, why, hardware, need, fit, key=spec.key))
    obstacles = [found for found in (serve.missing(engine, hardware), serve.port_problem(spec.port)) if found]
    if serving.dry_run:
        for obstacle in obstacles:
            click.echo(f"\nBefore it can start: {obstacle}")
        return
    if obstacles:
        raise obstacles[0]
    await _run(plan, spec, need, hub_settings, user_settings, key)


async def _run(
    plan: "ServePlan",
    spec: "ServeSpec",
    need: "Need",
    hub_settings: "HubSettings",
    user_settings: "Settings",
    key: "Secret | None",
) -> None:
    from chatdev.ops.serving import serve

    common.say("\nStarting the server. Ctrl-C stops it.")
    secrets = serve.secrets(plan, key, hub_settings)
    service = await serve.Service.start(plan, secrets, serve.as_client(user_settings, plan, key), common.say)
    try:
        served = await service.until_it_answers(lambda: serve.downloaded(spec.model, need, hub_settings.cache))
        lines = [f"export VLLM_ENDPOINT={plan.endpoint}", f"export VLLM_MODEL_NAME={shlex.quote(served)}"]
        key_note = "\n(and set VLLM_API_KEY to its key)" if key else ""
        click.echo("\nThe server is ready. In another terminal:\n\n" + "\n".join(lines) + f"{key_note}\n")
        sys.stdout.flush()
        await service.until_it_ends()
    finally:
        common.say("Stopping the server.")
        await service.stop()
        common.say("Stopped. All its processes have ended.")


def _shown(plan: "ServePlan", why: str, hardware: "Machine", need: "Need", fit: "Fit", *, key: bool) -> str:
    """The plan before the start: machine, model, memory calculation, command, reasons."""
    from chatdev.ops.serving.fit import size

    fetched = f"; {size(need.download)} to download" if need.download else ""
    about = "about " if need.estimated else ""
    parts = [f"{about}{size(need.weights)} of weights"] if need.weights else ["its size is not known"]
    if need.window:
        parts.append(f"a window of up to {need.window:,} tokens")
    lines = [
        f"Machine: {_machine(hardware)}",
        f"Model:   {need.name}: {', '.join(parts)} (from {need.source}{fetched})",
        f"Memory:  {fit.words or 'not calculated, since the size of the model is not known'}",
        f"Engine:  {plan.engine}, as {why}",
    ]
    if key:
        lines.append("Key:     clients must send it; the server gets it in its environment, hidden from other users")
    if plan.remark:
        lines.append(f"Note:    {plan.remark}")
    reasons = [f"  {_label(part.words):<31}  {part.why}" for part in (*plan.variables, *plan.parts)]
    return "\n".join([*lines, "", plan.command(), "", *reasons])


def _label(words: tuple[str, ...]) -> str:
    """A short form of a part of a command: all of it if it fits, else its flag, or its last word without folders."""
    if len(whole := shlex.join(words)) <= 31:
        return whole
    return words[0] if words[0].startswith("-") else words[-1].rpartition("/")[2]


def _machine(hardware: "Machine") -> str:
    from chatdev.ops.serving.fit import size

    cards = []
    for gpu in hardware.gpus:
        users = ", ".join(f"{user.name} (pid {user.pid})" for user in gpu.users)
        cards.append(f"{gpu.name} ({size(gpu.total)}, {size(gpu.used)} used{f' by {users}' if users else ''})")
    found = "; ".join(cards) or "no GPU"
    complaint = f" ({hardware.complaint})" if hardware.complaint else ""
    return f"{found}{complaint}; {size(hardware.memory)} of memory, {size(hardware.available)} free"

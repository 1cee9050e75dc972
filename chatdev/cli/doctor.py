"""``chatdev doctor``: does my model server work for ChatDev, and if not, what do I change?"""

import shutil
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from chatdev.models.address import Address
    from chatdev.ops.doctor.findings import Diagnosis, Finding
    from chatdev.settings import Settings


@click.command(name="doctor")
@click.argument("endpoint", required=False)
@click.option(
    "--json", "as_json", is_flag=True, help="Print all findings as JSON, with the profile that runs will use."
)
def command(endpoint: str | None, as_json: bool) -> None:
    """Check whether a model server works for ChatDev.

    Tests what a run needs and says what to change. ENDPOINT is an address such as localhost:8000, or openai:NAME.
    Default: every server in VLLM_ENDPOINT, else http://localhost:8000/v1, else any model server on this machine. The
    findings are saved, and later runs use them.

    Exit status: 0 if all checks are good, 1 if a check failed, 2 if no server answered.
    """
    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.ops.doctor.examine import examine
    from chatdev.ops.doctor.findings import lines

    width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 120)

    def show(finding: "Finding") -> None:
        if not as_json:
            common.echo("\n".join(lines(finding, width)))

    async def diagnosed() -> "list[Diagnosis]":
        settings, endpoints = await _endpoints(endpoint, quiet=as_json)
        diagnoses = []
        for address, model in endpoints:
            if not as_json and len(endpoints) > 1:
                click.echo(f"\n{address.base_url}\n")
            diagnoses.append(await examine(address, model, settings, show))
            if not as_json:
                _conclude(diagnoses[-1])
        return diagnoses

    try:
        diagnoses = common.run(diagnosed())
    except ChatDevError as error:
        common.fail(error)
    if as_json:
        click.echo(_json(diagnoses))
    sys.exit(max(diagnosis.exit_status for diagnosis in diagnoses))


async def _endpoints(endpoint: str | None, *, quiet: bool) -> "tuple[Settings, list[tuple[Address, str]]]":
    """The endpoints to examine, each with the model to use there. Raises SettingsError."""
    import msgspec

    from chatdev.cli import common
    from chatdev.models import address as addresses
    from chatdev.models import prices
    from chatdev.ops.doctor.examine import find
    from chatdev.settings import base_url, load_here

    settings = load_here()
    if endpoint and endpoint.lower().startswith("openai:"):
        return settings, [(addresses.of_openai(settings), endpoint[7:] or prices.load().default)]
    if endpoint:
        url = base_url(endpoint, "ENDPOINT")
        if settings.vllm_endpoint is not None and not settings.owns(url):  # key and model are another's
            return settings, [(addresses.of_vllm(settings, url), "default")]
        sources = {**settings.sources, "VLLM_ENDPOINT": "the command line"}
        settings = msgspec.structs.replace(settings, vllm_endpoint=url, more_endpoints=(), sources=sources)
    address, servers = await find(settings)
    if servers and not quiet:
        served = "\n".join(f"  {facts.base_url}  {facts.model}" for facts in servers)
        common.say(f"VLLM_ENDPOINT is not set. Model servers found on this machine:\n{served}")
    others = [addresses.of_vllm(settings, url) for url in settings.more_endpoints]
    return settings, [(each, settings.vllm_model_name) for each in (address, *others)]


def _conclude(diagnosis: "Diagnosis") -> None:
    from chatdev.cli import common

    common.echo(f"\n{diagnosis.summary}")
    if diagnosis.kept:
        click.echo(f"Saved for later runs: {diagnosis.kept}")


def _json(diagnoses: "list[Diagnosis]") -> str:
    """One object, or a list of objects if there are several endpoints."""
    import msgspec

    reports = [
        msgspec.to_builtins(each) | {"exit_status": each.exit_status, "summary": each.summary} for each in diagnoses
    ]
    return msgspec.json.format(msgspec.json.encode(reports if len(reports) > 1 else reports[0]), indent=2).decode()

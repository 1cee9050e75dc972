"""``chatdev doctor``: is my endpoint good for this, and if not, what do I change?"""

import shutil
import sys

import click


@click.command(name="doctor")
@click.argument("endpoint", required=False)
@click.option("--json", "as_json", is_flag=True, help="All findings as JSON, and the profile that runs will use.")
def command(endpoint: str | None, as_json: bool) -> None:
    """Try what a run needs of ENDPOINT: an address such as localhost:8000, or openai:NAME.

    Without it: VLLM_ENDPOINT (the first of several), else the default address, else whatever model server listens on
    this machine. The exit status is 0 if all is good, 1 if a check failed, 2 if nothing answered. What was found is
    kept, and used by runs.
    """
    import msgspec

    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.models import address as addresses
    from chatdev.models import prices
    from chatdev.ops.doctor.examine import examine, find
    from chatdev.ops.doctor.findings import Diagnosis, Finding, lines
    from chatdev.settings import base_url, load_here

    width = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 120)

    def tell(finding: Finding) -> None:
        if not as_json:
            click.echo("\n".join(lines(finding, width)))

    async def diagnosed() -> Diagnosis:
        settings = load_here()
        if endpoint and endpoint.lower().startswith("openai:"):
            return await examine(addresses.of_openai(settings), endpoint[7:] or prices.load().default, settings, tell)
        if endpoint:
            url = base_url(endpoint, "ENDPOINT")
            if settings.vllm_endpoint not in (None, url):  # its key and its model's name are not this one's
                return await examine(addresses.of_vllm(settings, url), "default", settings, tell)
            sources = {**settings.sources, "VLLM_ENDPOINT": "the command line"}
            settings = msgspec.structs.replace(settings, vllm_endpoint=url, sources=sources)
        address, found = await find(settings)
        if found and not as_json:
            served = "\n".join(f"  {facts.base_url}  {facts.model}" for facts in found)
            common.say(f"No endpoint is set; these model servers were found here:\n{served}")
        return await examine(address, settings.vllm_model_name, settings, tell)

    try:
        diagnosis = common.run(diagnosed())
    except ChatDevError as error:
        common.fail(error)
    if as_json:
        whole = msgspec.to_builtins(diagnosis) | {"exit_status": diagnosis.exit_status, "summary": diagnosis.summary}
        click.echo(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())
    else:
        click.echo(f"\n{diagnosis.summary}")
        if diagnosis.kept:
            click.echo(f"Runs will use what was found: {diagnosis.kept}")
    sys.exit(diagnosis.exit_status)

"""``chatdev playback``: a stand-in server that answers from recordings or a finished run."""

import asyncio
from pathlib import Path

import click


@click.command(name="playback")
@click.argument("recordings", nargs=-1, metavar="[RECORDING|RUN]...")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, help="0 takes a free one.")
@click.option("--manner", "manners", multiple=True, help="How to answer: first_token = 0.08, per_token = 0.012")
@click.option(
    "--prefix-cache",
    "block",
    type=click.IntRange(min=1),
    metavar="TOKENS",
    help="Tell in the usage what a prefix cache with blocks of so many tokens (16 on a GPU) would spare.",
)
def command(recordings: tuple[str, ...], host: str, port: int, manners: tuple[str, ...], block: int | None) -> None:
    """Serve recordings (*.recording files, or finished runs) as an OpenAI-compatible server, until Ctrl-C.

    Without any, the recordings that come with ChatDev are served. docs/playback.md has the format and the manners.
    """
    from chatdev import runs
    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.playback import demo, faults
    from chatdev.playback.prefix import PrefixCache
    from chatdev.playback.recording import Recording, load
    from chatdev.playback.server import Playback

    def loaded(name: str) -> Recording:
        return load(Path(name) if Path(name).exists() else runs.find(name, common.WAREHOUSE))

    async def serve(playback: Playback) -> None:
        endpoint = await playback.start(host, port)
        try:
            click.echo(f"Serving on {endpoint} until Ctrl-C. Use it with:\n  export VLLM_ENDPOINT={endpoint}")
            await asyncio.Event().wait()
        finally:
            await playback.stop()

    try:
        served = tuple(map(loaded, recordings)) or demo.recordings()
        cache = PrefixCache(block) if block else None
        common.run(serve(Playback(*served, manners=tuple(map(faults.parse, manners)), cache=cache)))
    except ChatDevError as error:
        common.fail(error)

"""``chatdev playback``: a mock server that answers from recordings or a finished run."""

import asyncio
from pathlib import Path

import click


@click.command(name="playback")
@click.argument("recordings", nargs=-1, metavar="[RECORDING|RUN]...")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, help="0 picks a free port.")
@click.option(
    "--manner",
    "manners",
    multiple=True,
    help="Delays and faults, as in 'first_token = 0.08, per_token = 0.012'. Repeatable.",
)
@click.option(
    "--prefix-cache",
    "block",
    type=click.IntRange(min=1),
    metavar="TOKENS",
    help="Report in the usage what a prefix cache with blocks of this size (16 on a GPU) would save.",
)
def command(recordings: tuple[str, ...], host: str, port: int, manners: tuple[str, ...], block: int | None) -> None:
    """Serve recorded answers as an OpenAI-compatible server.

    Serves *.recording files or finished runs until Ctrl-C; by default, the recordings shipped with ChatDev.
    docs/playback.md describes the file format and the manners.
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

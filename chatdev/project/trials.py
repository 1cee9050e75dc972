"""The two programs that tell what is true of a product: its acceptance tests, and its start."""

from collections.abc import Sequence

import msgspec

from chatdev.journal.effects import Desk
from chatdev.journal.events import ProductProbed, ProductStarted, TestsRan
from chatdev.product.sessions import Call
from chatdev.project import acceptance
from chatdev.project.meeting import Office
from chatdev.project.state import State


async def test(office: Office, desk: Desk, state: State) -> State:
    """Run the acceptance tests on this version, unless their results are known."""
    way = state.way
    if way is None or not state.runnable or not state.acceptance_tests or state.tested:
        return state
    version, files = state.digest, state.product
    ran = await desk.perform(
        TestsRan, version, lambda: acceptance.run(way, office.sandbox, files, place=desk.place, version=version)
    )
    return msgspec.structs.replace(state, tests=ran)


async def probe(office: Office, desk: Desk, state: State, calls: Sequence[Call]) -> ProductProbed:
    """Start this version with inputs whose right output is not known, and those of the tester's examples."""
    way = state.way
    assert way is not None
    version, files = state.digest, state.product
    return await desk.perform(
        ProductProbed,
        version,
        lambda: acceptance.probe(way, office.sandbox, files, calls, state.further, place=desk.place, version=version),
    )


async def start(office: Office, desk: Desk, state: State) -> State:
    """Start this version of the product and watch it, unless that was done."""
    way = state.way
    if way is None or not state.runnable or state.watched:
        return state
    version, files = state.digest, acceptance.visible(state.product)
    started = await desk.perform(
        ProductStarted, version, lambda: way.start(office.sandbox, files, place=desk.place, digest=version)
    )
    return msgspec.structs.replace(state, started=started)

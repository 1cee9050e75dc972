"""The two programs that tell what is true of a product: its acceptance tests, and its start."""

import msgspec

from chatdev.journal.effects import Desk
from chatdev.journal.events import ProductStarted, TestsRan
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

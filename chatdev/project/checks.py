"""The checks of a product: its acceptance tests, its start, and starts with other inputs."""

from collections.abc import Sequence

import msgspec

from chatdev.journal import places
from chatdev.journal.effects import JournalScope
from chatdev.journal.events import ProductProbed, ProductStarted, TestsRan, VerdictReached
from chatdev.product import acceptance
from chatdev.product.sessions import Invocation
from chatdev.project.context import RunContext
from chatdev.project.state import State


async def test(run: RunContext, scope: JournalScope, state: State) -> State:
    """Run the acceptance tests on this version, unless their results are known."""
    language = state.language_support
    if language is None or not state.runnable or not state.has_tests or state.tested:
        return state
    version, files = state.digest, state.product
    ran = await scope.perform(
        TestsRan, version, lambda: acceptance.run(language, run.sandbox, files, place=scope.place, version=version)
    )
    return msgspec.structs.replace(state, tests=ran)


async def hollow(run: RunContext, scope: JournalScope, state: State) -> TestsRan | None:
    """Run the tests on the hollow product, if any of them is a program in Python; None if they cannot be run there, or
    if an earlier version of ChatDev has judged the product without it."""
    language, here = state.language_support, scope.at(places.BASELINE)
    if language is None or not state.tested or not acceptance.has_hollow(language, state.product):
        return None
    if here.recorded(TestsRan) is None and scope.recorded(VerdictReached):
        return None
    version, files = state.digest, state.product
    return await here.perform(
        TestsRan,
        version,
        lambda: acceptance.run_hollow(language, run.sandbox, files, place=here.place, version=version),
    )


async def probe(run: RunContext, scope: JournalScope, state: State, calls: Sequence[Invocation]) -> ProductProbed:
    """Start this version with inputs whose right output is not known, and with the tester's examples."""
    language = state.language_support
    assert language is not None
    version, files = state.digest, state.product
    return await scope.perform(
        ProductProbed,
        version,
        lambda: acceptance.probe(
            language, run.sandbox, files, calls, state.further, place=scope.place, version=version
        ),
    )


async def start(run: RunContext, scope: JournalScope, state: State) -> State:
    """Start this version of the product and watch it, unless that was done."""
    language = state.language_support
    if language is None or not state.runnable or state.watched:
        return state
    version, files = state.digest, acceptance.visible(state.product)
    started = await scope.perform(
        ProductStarted, version, lambda: language.start(run.sandbox, files, place=scope.place, digest=version)
    )
    return msgspec.structs.replace(state, started=started)

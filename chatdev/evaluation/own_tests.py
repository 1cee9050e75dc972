"""How far a company's own acceptance tests are wrong: those that a program fails which is known to be right."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from chatdev.product import rows
from chatdev.project import acceptance, languages
from chatdev.project.verdict import without_product
from chatdev.sandbox.port import Sandbox

Files = Mapping[str, bytes]


class Count(msgspec.Struct, frozen=True):
    """Tests that were run on a reference, and those of them that did not pass there."""

    ran: int
    failed: int

    def plus(self, other: "Count") -> "Count":
        """Both together."""
        return Count(self.ran + other.ran, self.failed + other.failed)


NONE = Count(0, 0)


async def files_of_tests(sandbox: Sandbox, product: Files, reference: Files) -> Count:
    """Test files: they stand beside the reference as they stood beside the product."""
    tests = without_product(product)
    if not tests:
        return NONE
    ran = await languages.of_folder(reference).run_tests(sandbox, {**tests, **without_tests(reference)})
    return Count(len(ran.results), sum(result.outcome not in ("passed", "skipped") for result in ran.results))


async def rows_of_tester(sandbox: Sandbox, product: Files, reference: Files) -> Count:
    """Rows that a model wrote and by which the product was judged; those of the task are no work of the company's."""
    way = languages.of_folder(reference)
    if rows.FILE not in product or not acceptance.rows_of(product, way.command):
        return NONE
    ran = await acceptance.run(way, sandbox, {**without_tests(reference), rows.FILE: product[rows.FILE]})
    written = [result for result in ran.results if result.tier != "trusted"]
    return Count(len(written), sum(result.outcome != "passed" for result in written))


def without_tests(files: Files) -> dict[str, bytes]:
    """A program without its tests."""
    tests = without_product(files)
    return {path: content for path, content in files.items() if path not in tests}


KINDS: tuple[Callable[[Sandbox, Files, Files], Awaitable[Count]], ...] = (files_of_tests, rows_of_tester)
"""Each kind of test that a company may leave in its product, and how it is run on a reference."""


async def against(sandbox: Sandbox, product: Files, reference: Files) -> Count:
    """Run all tests that a product came with on a reference. Raises SandboxError."""
    total = NONE
    for kind in KINDS:
        total = total.plus(await kind(sandbox, product, reference))
    return total

"""How many of a company's own acceptance tests are wrong: those that fail on a program known to be correct."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from chatdev.product import acceptance, languages, rows
from chatdev.product.verdict import without_product
from chatdev.sandbox.port import Sandbox

Files = Mapping[str, bytes]


class Count(msgspec.Struct, frozen=True):
    """Tests that ran on a reference, and those of them that did not pass there."""

    ran: int
    failed: int

    def plus(self, other: "Count") -> "Count":
        """Both together."""
        return Count(self.ran + other.ran, self.failed + other.failed)


NONE = Count(0, 0)


async def files_of_tests(sandbox: Sandbox, product: Files, reference: Files) -> Count:
    """Test files: they are put beside the reference as they were beside the product."""
    tests = without_product(product)
    if not tests:
        return NONE
    ran = await languages.of_folder(reference).run_tests(sandbox, {**tests, **without_tests(reference)})
    return Count(len(ran.results), sum(result.outcome not in ("passed", "skipped") for result in ran.results))


async def rows_of_tester(sandbox: Sandbox, product: Files, reference: Files) -> Count:
    """Rows that a model wrote and that judged the product; rows from the task are not the company's work."""
    language = languages.of_folder(reference)
    if rows.FILE not in product or not acceptance.rows_of(product, language.command):
        return NONE
    ran = await acceptance.run(language, sandbox, {**without_tests(reference), rows.FILE: product[rows.FILE]})
    written = [result for result in ran.results if result.tier != "trusted"]
    return Count(len(written), sum(result.outcome != "passed" for result in written))


def without_tests(files: Files) -> dict[str, bytes]:
    """A program without its tests."""
    tests = without_product(files)
    return {path: content for path, content in files.items() if path not in tests}


KINDS: tuple[Callable[[Sandbox, Files, Files], Awaitable[Count]], ...] = (files_of_tests, rows_of_tester)
"""For each kind of test that a company may leave in its product, the function that runs it on a reference."""


async def against(sandbox: Sandbox, product: Files, reference: Files) -> Count:
    """Run all of a product's own tests on a reference. Raises SandboxError."""
    total = NONE
    for kind in KINDS:
        total = total.plus(await kind(sandbox, product, reference))
    return total

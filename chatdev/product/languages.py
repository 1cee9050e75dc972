"""Which language a product is written in, and so how it is built, started and tested."""

import tomllib
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Protocol

import msgspec

from chatdev import language_table
from chatdev.errors import UserError
from chatdev.journal.events import ProductStarted, TestsRan
from chatdev.language_table import Table, Toolchain
from chatdev.product import python_layout, python_run, python_start, python_tests
from chatdev.product.acceptance import Launch
from chatdev.product.toolchain import ToolchainProduct
from chatdev.sandbox.port import Sandbox

MANIFEST = "product.toml"
PYTHON = "Python"


class Product(Protocol):
    """How a language runs its products. Running one raises SandboxError; what did not run is never a success."""

    @property
    def main(self) -> str:
        """The file that is started."""
        ...

    @property
    def test_file(self) -> str:
        """Where the tester writes the acceptance tests."""
        ...

    @property
    def command(self) -> str:
        """The command that a user types to start it."""
        ...

    @property
    def stated(self) -> Mapping[str, object]:
        """The command lines, by key, in which the product's own manifest differs from the language's."""
        ...

    @property
    def how(self) -> str:
        """What the tests look like, as text for the tester; empty if the company's own text says it."""
        ...

    @property
    def arguments(self) -> str:
        """Where a program finds its command line arguments; empty if it has none."""
        ...

    async def run_tests(
        self, sandbox: Sandbox, files: Mapping[str, bytes], *, place: str = "", digest: str = "", seconds: float = 60
    ) -> TestsRan:
        """Run every test of ``files`` for at most ``seconds``."""
        ...

    async def start(
        self, sandbox: Sandbox, files: Mapping[str, bytes], *, place: str = "", digest: str = "", watch: float = 5.0
    ) -> ProductStarted:
        """Start the product without any input, and watch it for ``watch`` seconds."""
        ...

    def launch(self, files: Mapping[str, bytes]) -> Launch:
        """How to build the product, and start it with given arguments and input."""
        ...


class _Python:
    main = python_layout.MAIN
    test_file = "tests/test_acceptance.py"
    how = ""
    arguments = "sys.argv"
    stated: Mapping[str, object] = {}

    def __init__(self, interpreter: str = "", files: Iterable[str] = ()) -> None:
        self._interpreter = interpreter
        self.command = " ".join(("python3", *python_layout.words(python_layout.entry(files))))
        self.run_tests = partial(python_tests.run_tests, python=interpreter)
        self.start = partial(python_start.start_product, python=interpreter)

    def launch(self, files: Mapping[str, bytes]) -> Launch:
        return python_run.launch(files, self._interpreter)


def find(language: str, table: Table | None = None) -> Product | None:
    """How a language (in any letter case) runs its products; None if it is not supported.

    ``table`` holds the languages besides Python; by default those of ``languages.toml``.
    """
    if language.casefold() == PYTHON.casefold():
        return _Python()
    recipe = _recipe(language, language_table.table() if table is None else table)
    return ToolchainProduct(recipe) if recipe else None


def _recipe(language: str, table: Table) -> Toolchain | None:
    return next((recipe for name, recipe in table.items() if name.casefold() == language.casefold()), None)


def manifest(language: str, table: Table | None = None) -> str:
    """The manifest of a product in one of the languages of ``table``; empty for any other language."""
    recipe = (language_table.table() if table is None else table).get(language)
    if recipe is None:
        return ""
    lines = [
        "# How `chatdev test` builds, starts and tests this product: words of command lines, run without a shell.",
        f"language = {_toml(language)}",
        *(f"{name} = {_toml(getattr(recipe, name))}" for name in ("build", "start", "build_tests", "test")),
    ]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    return msgspec.json.encode(value).decode()  # strings and lists of strings look the same in JSON and TOML


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    language: str
    build: tuple[tuple[str, ...], ...] | msgspec.UnsetType = msgspec.UNSET
    start: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    build_tests: tuple[tuple[str, ...], ...] | msgspec.UnsetType = msgspec.UNSET
    test: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


def of_folder(files: Mapping[str, bytes], python: str = "", table: Table | None = None) -> Product:
    """The language that a folder's manifest states; without one, the language whose main file is there, else Python.

    ``python`` is an interpreter other than our own, for a product in Python; ``table`` as in ``find``. Raises UserError
    if the manifest is invalid.
    """
    table = language_table.table() if table is None else table
    if MANIFEST not in files:
        by_main = (recipe for recipe in table.values() if recipe.main in files)
        recipe = None if python_layout.MAIN in files else next(by_main, None)
        return ToolchainProduct(recipe) if recipe else _Python(python, files)
    try:
        stated = msgspec.convert(tomllib.loads(files[MANIFEST].decode()), _Manifest)
    except (ValueError, msgspec.ValidationError) as error:
        raise _wrong(f"{error}") from error
    recipe = _recipe(stated.language, table)
    if recipe is None:
        if stated.language.casefold() == PYTHON.casefold():
            return _Python(python, files)
        raise _wrong(f'language: "{stated.language}" is not supported; use one of {", ".join([PYTHON, *table])}')
    fields = {name: getattr(stated, name) for name in ("build", "start", "build_tests", "test")}
    changed = {name: value for name, value in fields.items() if value not in (msgspec.UNSET, getattr(recipe, name))}
    if changed.get("test") in recipe.former_tests:
        del changed["test"]
    return ToolchainProduct(msgspec.structs.replace(recipe, **changed), changed)


def _wrong(what: str) -> UserError:
    return UserError(f"{MANIFEST} is invalid: {what}.", do="Correct it, or remove it so that the language is guessed.")

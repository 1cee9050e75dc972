"""Code goes bad in the tail: no function over 60 lines or 8 parameters, no module over 400 lines."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = sorted(ROOT.glob("tests/**/*.py"))
MODULES = sorted(
    [*ROOT.glob("chatdev/**/*.py"), *ROOT.glob("camel/*.py"), *ROOT.glob("benchmarks/*.py"), ROOT / "run.py"]
)


def test_there_are_modules_to_check() -> None:
    assert len(MODULES) > 20


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_and_functions_stay_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = [f.name for f in functions if f.end_lineno is not None and f.end_lineno - f.lineno >= 60]
    assert len(source.splitlines()) <= 400
    assert not long


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The number of parameters, without ``self`` and ``cls``."""
    of = function.args
    every = [*of.posonlyargs, *of.args, *of.kwonlyargs, *filter(None, (of.vararg, of.kwarg))]
    return sum(each.arg not in ("self", "cls") for each in every)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_function_has_more_than_eight_parameters(path: Path) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert not [each.name for each in functions if _parameters(each) > 8]


def _private_names(source: str) -> list[str]:
    """The names with a leading underscore that a module takes from another one or from an object of another one."""
    nodes = list(ast.walk(ast.parse(source)))
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    library, found = set(), []
    for node in nodes:
        match node:
            case ast.Import():
                library |= {alias.name for alias in node.names if alias.name in sys.stdlib_module_names}
            case ast.ImportFrom():
                found += [alias.name for alias in node.names]
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                own.add(node.attr)
            case ast.Attribute(value=value) if not (isinstance(value, ast.Name) and value.id in library):
                found.append(node.attr)
            case ast.Call(func=ast.Attribute(attr="setattr" | "delattr") | ast.Name(id="setattr" | "getattr")):
                words = [each.value for each in node.args[:2] if isinstance(each, ast.Constant)]
                found += [part for word in words if isinstance(word, str) for part in word.split(".")]
    return [name for name in found if name.startswith("_") and not name.startswith("__") and name not in own]


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tests_use_public_names_only(path: Path) -> None:
    assert not _private_names(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "use",
    [
        "from chatdev.runs import _name",
        "runs._name",
        "store.Store(path)._file.close()",
        'monkeypatch.setattr(runs, "_name", 1)',
        'monkeypatch.setattr("chatdev.runs._name", 1)',
        'getattr(runs, "_name")',
    ],
)
def test_each_use_of_a_private_name_is_found(use: str) -> None:
    assert len(_private_names(f"from chatdev import runs\n{use}\n")) == 1


def test_private_names_of_the_test_itself_and_of_the_library_are_no_uses() -> None:
    source = "import os\nclass A:\n    def _f(self): self._x = os._exit\nA()._f()\nA()._x\nA.__name__\n"
    assert not _private_names(source)


def test_starting_a_run_compiles_no_pattern_that_few_runs_need() -> None:
    code = (
        "import gc, chatdev.cli.classic, chatdev.cli.work, chatdev.playback.demo\n"
        "from chatdev.lazy_pattern import LazyPattern\n"
        "lazy = [each for each in gc.get_objects() if isinstance(each, LazyPattern)]\n"
        "print(len(lazy) > 10, [each.pattern for each in lazy if 'compiled' in vars(each)])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "True []\n"


def test_starting_a_command_imports_no_extra_and_nothing_that_few_runs_need() -> None:
    code = (
        "import sys, chatdev, chatdev.wiring, chatdev.cli.work, chatdev.cli.main, chatdev.models.transport\n"
        "late = {'opentelemetry', 'xllamacpp', 'ray', 'vllm', 'packaging', 'tomli_w', 'rich', 'zipfile'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & late))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "[]\n"

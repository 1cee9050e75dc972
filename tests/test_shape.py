"""Code goes bad in the tail: no function over 60 lines or 8 parameters, no module over 400 lines."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
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


def test_starting_a_command_imports_no_extra_and_nothing_that_few_runs_need() -> None:
    code = (
        "import sys, chatdev, chatdev.wiring, chatdev.cli.work, chatdev.cli.main, chatdev.models.transport\n"
        "late = {'opentelemetry', 'xllamacpp', 'ray', 'vllm', 'packaging', 'tomli_w', 'rich'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & late))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "[]\n"

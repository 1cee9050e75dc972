"""A product in each language passes and fails as it should, where its toolchain is; else it is skipped by name."""

import shutil
from pathlib import Path

import pytest
from helpers.products import SANDBOX, product

from chatdev.errors import UserError
from chatdev.language_table import table as recipes
from chatdev.product import languages
from chatdev.product.languages import find, manifest, of_folder
from chatdev.product.verdict import FolderVerdict, judge_folder

NODE_TESTS = """
const test = require("node:test");
const assert = require("node:assert");
const { spawnSync } = require("node:child_process");
const run = (...words) => spawnSync(process.execPath, ["main.js", ...words], { encoding: "utf8" });

test("adds small numbers", () => {
  assert.strictEqual(run("1", "2").stdout.trim(), "3");
});
test("adds negative ones", () => {
  assert.strictEqual(run("-1", "-2").stdout.trim(), "-3");
});
"""
PAGE_TESTS = """
const test = require("node:test");
const assert = require("node:assert");
const vm = require("node:vm");
const { readFileSync } = require("node:fs");

test("the page loads the sum", () => {
  assert.match(readFileSync("index.html", "utf8"), /add\\.js/);
});
test("adds", () => {
  const context = vm.createContext({});
  vm.runInContext(readFileSync("add.js", "utf8"), context);
  assert.strictEqual(context.add(1, 2), 3);
});
"""
C_TESTS = """
#include <stdio.h>
#include <stdlib.h>
static int number = 0, failed = 0;
static void adds(const char *words, int expected, const char *name) {
    char command[200];
    int got = -99999;
    snprintf(command, sizeof command, "build/main %s 2>/dev/null", words);
    FILE *pipe = popen(command, "r");
    int read = fscanf(pipe, "%d", &got);
    int ok = pclose(pipe) == 0 && read == 1 && got == expected;
    failed += !ok;
    printf("%sok %d - %s\\n", ok ? "" : "not ", ++number, name);
}
int main(void) {
    printf("1..2\\n");
    adds("1 2", 3, "adds small numbers");
    adds("-1 -2", -3, "adds negative ones");
    return failed != 0;
}
"""
JAVA_TESTS = """
import java.util.*;

public class Acceptance {
    static int number = 0, failed = 0;

    static void adds(String a, String b, String expected, String name) throws Exception {
        Process run = new ProcessBuilder("java", "-cp", "build", "Main", a, b).redirectErrorStream(true).start();
        String said = new String(run.getInputStream().readAllBytes()).trim();
        boolean ok = run.waitFor() == 0 && said.equals(expected);
        if (!ok) failed++;
        System.out.println((ok ? "" : "not ") + "ok " + ++number + " - " + name);
    }

    public static void main(String[] words) throws Exception {
        System.out.println("1..2");
        adds("1", "2", "3", "adds small numbers");
        adds("-1", "-2", "-3", "adds negative ones");
        System.exit(failed == 0 ? 0 : 1);
    }
}
"""
GO_TESTS = """
package tests

import (
	"os/exec"
	"strings"
	"testing"
)

func TestAdds(t *testing.T) {
	said, err := exec.Command("../build/main", "1", "2").Output()
	if err != nil || strings.TrimSpace(string(said)) != "3" {
		t.Fatal(string(said), err)
	}
}
"""
RUST_TESTS = """
use std::process::Command;

#[test]
fn adds_small_numbers() {
    let run = Command::new("build/main").args(["1", "2"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), "3");
}
"""
SHELL_TESTS = """
echo 1..1
if [ "$(bash main.sh 1 2 2>/dev/null)" = 3 ]; then echo "ok 1 - adds"; else echo "not ok 1 - adds"; exit 1; fi
"""
C_MAIN = '#include <stdio.h>\n#include <stdlib.h>\n#include "add.h"\nint main(int n, char **w)'
C_MAIN += ' { printf("%d\\n", n > 2 ? add(atoi(w[1]), atoi(w[2])) : 0); return 0; }\n'

PRODUCTS: dict[str, dict[str, str]] = {
    "JavaScript": {"main.js": "const [a, b] = process.argv.slice(2).map(Number); console.log(a + b);"},
    "HTML": {
        "index.html": '<script src="add.js"></script><a href="https://example.org/">x</a>',
        "add.js": "var add = (a, b) => a + b;",
    },
    "C": {
        "main.c": C_MAIN,
        "add.h": "int add(int, int);\n",
        "add.c": "int add(int a, int b) { return a + b; }\n",
    },
    "C++": {
        "main.cpp": "#include <cstdlib>\n#include <iostream>\nint main(int n, char **w)"
        ' { std::cout << (n > 2 ? std::atoi(w[1]) + std::atoi(w[2]) : 0) << "\\n"; }\n'
    },
    "Java": {
        "Main.java": "public class Main { public static void main(String[] w) { if (w.length > 1) System.out.println("
        "Integer.parseInt(w[0]) + Integer.parseInt(w[1])); } }"
    },
    "Go": {
        "main.go": 'package main\n\nimport (\n\t"fmt"\n\t"os"\n\t"strconv"\n)\n\nfunc main() {\n\tsum := 0\n'
        "\tfor _, word := range os.Args[1:] {\n\t\tn, _ := strconv.Atoi(word)\n\t\tsum = sum + n\n\t}\n"
        "\tfmt.Println(sum)\n}\n"
    },
    "Rust": {
        "main.rs": "fn main() { let n: Vec<i32> = std::env::args().skip(1).map(|w| w.parse().unwrap()).collect();\n"
        'println!("{}", n.iter().fold(0, |a, b| a + b)); }'
    },
    "Shell": {"main.sh": 'echo "$(( ${1:-0} + ${2:-0} ))"\n'},
}
TESTS = {
    "JavaScript": NODE_TESTS, "HTML": PAGE_TESTS, "C": C_TESTS, "C++": C_TESTS, "Java": JAVA_TESTS, "Go": GO_TESTS,
    "Rust": RUST_TESTS, "Shell": SHELL_TESTS,
}  # fmt: skip
ONE = ("Go", "Rust", "Shell")  # these have one test, the others two
CRASHES = {
    "JavaScript": "throw new Error('no');",
    "C": "int main(void) { __builtin_trap(); }",
    "C++": "#include <stdexcept>\nint main() { throw std::runtime_error(\"no\"); }",
    "Java": 'public class Main { public static void main(String[] w) { throw new RuntimeException("no"); } }',
    "Go": 'package main\n\nfunc main() { panic("no") }\n',
    "Rust": 'fn main() { panic!("no") }',
}  # fmt: skip
WAITS = {
    "JavaScript": "setInterval(() => {}, 1000);",
    "C": "#include <unistd.h>\nint main(void) { pause(); return 0; }",
    "Shell": "read word",
}


@pytest.fixture
def language(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    for tool in recipes()[name].tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{name}: no {tool} here")
    return name


def each(names: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("language", list(names), indirect=True)  # type: ignore[call-overload]


def whole(name: str, **changed: str) -> dict[str, str]:
    return {**PRODUCTS[name], recipes()[name].test_file: TESTS[name], languages.MANIFEST: manifest(name), **changed}


async def judged(folder: Path, files: dict[str, str]) -> FolderVerdict:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return await judge_folder(SANDBOX, folder)


def test_each_language_has_a_product_here() -> None:
    assert set(PRODUCTS) == set(TESTS) == set(recipes())


@each(PRODUCTS)
async def test_a_right_product_passes(language: str, tmp_path: Path) -> None:
    found = await judged(tmp_path, whole(language))
    assert found.verdict == "passed", found.text()
    assert [result.outcome for result in found.tests.results] == ["passed"] * (1 if language in ONE else 2)


@each(PRODUCTS)
async def test_a_wrong_product_fails(language: str, tmp_path: Path) -> None:
    wrong = {path: text.replace(" + ", " - ") for path, text in PRODUCTS[language].items()}
    found = await judged(tmp_path, whole(language, **wrong))
    assert found.verdict.startswith("failed ("), found.text()
    assert "does not start" not in found.verdict, found.text()


@each(PRODUCTS)
async def test_tests_without_the_product_fail_so_that_they_tell(language: str) -> None:
    toolchain = find(language)
    assert toolchain is not None
    ran = await toolchain.run_tests(SANDBOX, {toolchain.test_file: TESTS[language].encode()})
    assert ran.results
    assert not [result for result in ran.results if result.outcome == "passed"]


@each(CRASHES)
async def test_a_crash_is_no_start(language: str) -> None:
    toolchain = find(language)
    assert toolchain is not None
    started = await toolchain.start(SANDBOX, {toolchain.main: CRASHES[language].encode()}, watch=30)
    assert started.how == "crashed", started


REFUSES = {
    "JavaScript": ("process.exit(3);", 'console.error("usage: main.js FILE"); process.exit(2);'),
    "C": ("int main(void) { return 3; }", '#include <stdio.h>\nint main(void) { puts("Usage: main FILE"); return 2; }'),
    "Shell": ("exit 3", "echo 'missing argument: FILE' >&2; exit 2"),
}


@each(REFUSES)
async def test_a_silent_failure_is_no_start_and_a_usage_message_is_one(language: str) -> None:
    toolchain = find(language)
    assert toolchain is not None
    silent, usage = [
        await toolchain.start(SANDBOX, {toolchain.main: text.encode()}, watch=30) for text in REFUSES[language]
    ]
    assert (silent.how, silent.exit_status, silent.why) == ("crashed", 3, "exit status 3, without any output")
    assert (usage.how, usage.exit_status) == ("exited", 2)


@each(WAITS)
async def test_a_product_that_waits_is_alive(language: str) -> None:
    toolchain = find(language)
    assert toolchain is not None
    assert (await toolchain.start(SANDBOX, {toolchain.main: WAITS[language].encode()}, watch=0.5)).how == "alive"


@each(["C", "C++", "Java", "Rust", "Go"])
async def test_a_product_that_does_not_build_fails(language: str, tmp_path: Path) -> None:
    found = await judged(tmp_path, whole(language, **{recipes()[language].main: "no program"}))
    assert found.verdict.startswith("failed (0 of 1"), found.text()
    assert "does not build" in found.started.why


@each(["C", "Rust"])
async def test_tests_that_do_not_build_say_so(language: str) -> None:
    toolchain = find(language)
    assert toolchain is not None
    ran = await toolchain.run_tests(SANDBOX, {toolchain.test_file: b"no program"})
    assert ran.trouble.startswith("the tests cannot be built")
    assert not ran.results


REWRITES = {
    "Shell": "echo 'echo 1..1; echo ok 1 - adds' > tests/acceptance.sh; echo wrong\n",
    "JavaScript": 'require("fs").writeFileSync("tests/golden.txt", "3"); console.log("wrong");',
}


@each(REWRITES)
async def test_a_product_that_changes_its_tests_does_not_pass(language: str, tmp_path: Path) -> None:
    found = await judged(tmp_path, whole(language, **{recipes()[language].main: REWRITES[language]}))
    assert found.verdict.startswith("failed ("), found.text()
    assert found.tests.trouble.startswith("the product changed its tests: tests/")
    assert {result.outcome for result in found.tests.results} == {"failed"}


@each(["Shell"])
async def test_a_shell_test_is_read_whole_before_it_runs(language: str, tmp_path: Path) -> None:
    """bash reads a script as it goes, so that a line which the product appends would run."""
    tests = 'echo 1..2\necho ok 1 - a\nbash main.sh\n[ "$0" = "${BASH_SOURCE[0]}" ] && echo ok 2 - b\n'
    main = "echo 'exit 9' >> tests/acceptance.sh"
    for manifest_text in (manifest(language), 'language = "Shell"\ntest = ["bash", "{tests}"]\n'):
        files = {"main.sh": main, "tests/acceptance.sh": tests, languages.MANIFEST: manifest_text}
        found = await judged(tmp_path, files)
        assert [result.outcome for result in found.tests.results] == ["passed", "passed"]
        assert found.tests.trouble == "the product changed its tests: tests/acceptance.sh"


@each(["C"])
async def test_a_source_file_cannot_be_read_as_options_of_a_compiler(language: str, tmp_path: Path) -> None:
    options = {"@options.c": "int unused;\n", "-o.c": "int unused_too;\n"}
    found = await judged(tmp_path, whole(language, **options))
    assert found.verdict == "passed", found.text()


@each(["Shell"])
async def test_command_lines_of_a_manifest_are_shown(language: str, tmp_path: Path) -> None:
    own = 'language = "Shell"\ntest = ["bash", "tests/acceptance.sh"]\nstart = ["bash", "main.sh"]\n'
    found = await judged(tmp_path, whole(language, **{languages.MANIFEST: own}))
    assert found.as_dict()["commands"] == {"test": ("bash", "tests/acceptance.sh")}
    assert found.text().splitlines()[1] == '  product.toml: test = ["bash","tests/acceptance.sh"]'
    assert found.verdict == "passed"
    assert (await judged(tmp_path, whole(language))).commands == {}


@each(["JavaScript"])
async def test_a_product_that_leaves_within_its_tests_does_not_pass(language: str, tmp_path: Path) -> None:
    """It ends the process of the tests with status 0, which node takes for a file that passed."""
    tests = 'const add = require("../main.js");\nconst test = require("node:test");\ntest("adds", () => add(1, 2));\n'
    found = await judged(
        tmp_path, {"main.js": "process.exit(0);", "tests/acceptance.test.js": tests, "product.toml": manifest(language)}
    )
    assert found.verdict.startswith("failed (0 of 1"), found.text()


@each(["Shell"])
@pytest.mark.parametrize(
    ("tests", "trouble"),
    [
        ("echo ok 1 - a", "the tests announced no plan 1..N and told of 1"),
        ("echo 1..2; echo ok 1 - a", "the tests announced 1..2 and told of 1"),
        ("echo 1..1; echo ok 1 - a; echo 1..1", "the tests announced 1..1 and 1..1 and told of 1"),
        ("echo 1..1; echo ok 1 - a; exit 3", "left with exit status 3 although no test failed"),
        ("echo 1..1; echo ok 1 - a; kill -9 $$", "killed by signal 9"),
        ("echo 1..1; echo ok 1 - a; sleep 60", "stopped by the time limit"),
        ("echo 'Bail out! no disk'; exit 1", "left with exit status 1 although no test failed"),
    ],
)
async def test_a_run_that_contradicts_itself_is_not_believed(language: str, tests: str, trouble: str) -> None:
    toolchain = find(language)
    assert toolchain is not None
    ran = await toolchain.run_tests(SANDBOX, {toolchain.test_file: tests.encode()}, seconds=2)
    assert ran.trouble == trouble


@pytest.mark.parametrize("tool", ["java", "nothing-of-this-name"])
async def test_a_missing_toolchain_is_named_and_is_no_pass(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "Java" if tool == "java" else "Go"
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    found = await judged(tmp_path, whole(name))
    assert found.verdict == f"not run (no {recipes()[name].tools[0]} here)"
    assert found.as_dict()["verdict"] == found.verdict


async def test_a_page_whose_script_is_not_there_does_not_open() -> None:
    toolchain = find("html")
    assert toolchain is not None
    started = await toolchain.start(SANDBOX, {"index.html": b'<script src="./gone.js?x"></script>'})
    assert (started.how, started.why) == ("crashed", "index.html loads gone.js, which is not there")


def test_a_folder_is_read_by_its_manifest_else_by_its_main_file() -> None:
    assert of_folder(product()).main == "main.py"
    assert of_folder({"main.rs": b""}).main == "main.rs"
    assert of_folder({"readme": b""}).main == "main.py"
    assert of_folder({languages.MANIFEST: b'language = "c++"', "main.py": b""}).main == "main.cpp"
    assert of_folder({languages.MANIFEST: b'language = "Python"'}).main == "main.py"
    assert of_folder({languages.MANIFEST: b'language = "C"\nstart = ["build/main", "now"]'}).command == "build/main now"


@pytest.mark.parametrize("name", list(PRODUCTS))
def test_a_manifest_reads_as_the_language_it_was_written_for(name: str) -> None:
    way, stated = find(name), of_folder({languages.MANIFEST: manifest(name).encode()})
    assert way is not None
    assert vars(stated) == vars(way)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('language = "Klingon"', '"Klingon" is not supported; use one of Python, JavaScript'),
        ('language = "C"\nstart = "build/main"', "start"),
        ('language = "C"\ninstall = []', "install"),
        ("language", "product.toml is invalid"),
    ],
)
def test_a_manifest_that_cannot_be_followed_says_why(text: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        of_folder({languages.MANIFEST: text.encode()})


def test_an_unknown_language_has_no_way() -> None:
    assert find("Klingon") is None
    assert manifest("Klingon") == manifest("Python") == ""

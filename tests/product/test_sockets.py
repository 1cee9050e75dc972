"""A product that needs a socket, at the sandbox's level that has none to give."""

import shutil
import sys

import pytest
from helpers.products import product

from chatdev.product import languages
from chatdev.product.verdict import judge
from chatdev.sandbox import levels

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or bool(levels.tried("landlock").why), reason="landlock does not hold here"
)
SERVER = "import socket\ndef serve():\n    return socket.create_server(('127.0.0.1', 0))\nserve()\n"
TESTS = "import unittest\nimport main\nclass T(unittest.TestCase):\n    def test_it(self):\n        main.serve()\n"
NODE = "const server = require('net').createServer(); server.listen(0, '127.0.0.1');\n"
NODE_TEST = "const {test} = require('node:test');\nconst {spawnSync} = require('node:child_process');\n"
NODE_TEST += "test('serves', () => { const r = spawnSync(process.execPath, ['main.js'], {encoding: 'utf8'});\n"
NODE_TEST += "  if (r.status !== 0) throw new Error(r.stderr); });\n"


async def verdict_of(files: dict[str, bytes]) -> str:
    sandbox = levels.at("landlock")
    toolchain = languages.of_folder(files)
    tests = await toolchain.run_tests(sandbox, files)
    started = await toolchain.start(sandbox, files)
    assert (tests.lacks, started.lacks) == ("socket", "socket")
    without_start = judge(tests, None, started)
    assert "no tests" in without_start.verdict
    return judge(tests, tests, started).verdict


async def test_a_server_is_not_judged_for_want_of_a_socket() -> None:
    assert await verdict_of(product(SERVER, tests__test_main=TESTS)) == "not run (needs a socket)"


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
async def test_nor_is_one_in_another_language() -> None:
    files = {"main.js": NODE.encode(), "tests/acceptance.test.js": NODE_TEST.encode()}
    assert await verdict_of(files) == "not run (needs a socket)"


POOL = "import multiprocessing\ndef f(x):\n    return x\ndef work():\n    with multiprocessing.Pool(2) as pool:\n"
POOL += "        return pool.map(f, [1])\nif __name__ == '__main__':\n    print(work())\n"


async def test_a_program_with_several_processes_is_not_judged_without_shared_memory() -> None:
    sandbox = levels.at("landlock")
    started = await languages.of_folder({}).start(sandbox, product(POOL))
    assert (started.how, started.lacks) == ("crashed", "shared semaphore")
    tests = await languages.of_folder({}).run_tests(sandbox, product(POOL, test_it=TESTS.replace("serve", "work")))
    assert judge(tests, tests, started).verdict == "not run (needs a shared semaphore)"


async def test_a_file_that_may_not_be_read_is_the_products_own_failure() -> None:
    sandbox = levels.at("landlock")
    started = await languages.of_folder({}).start(sandbox, product("import multiprocessing\nopen('/etc/shadow')\n"))
    assert (started.how, started.lacks) == ("crashed", "")


async def test_another_failure_is_the_products_own() -> None:
    sandbox = levels.at("landlock")
    started = await languages.of_folder({}).start(sandbox, product("raise OSError('no luck')\n"))
    assert (started.how, started.lacks) == ("crashed", "")


async def test_with_a_network_of_its_own_the_words_mean_nothing() -> None:
    sandbox = levels.at(levels.UNSAFE)
    text = "raise OSError('Address family not supported')\n"
    assert (await languages.of_folder({}).start(sandbox, product(text))).lacks == ""

"""The program that runs llama.cpp's server, where it can be looked at without starting one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatdev.ops.serving import llamacpp


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """The program changes what signals do; afterwards that is as before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_every_slot_has_the_window_that_was_asked_for() -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    words = [
        "m.gguf",
        "--window",
        "2048",
        "--slots",
        "3",
        "--name",
        "m",
        "--port",
        "9",
        "--threads",
        "1",
        "--speculate",
    ]
    params = llamacpp.parameters(xllamacpp, llamacpp.options(words), "k3y")
    assert (params.n_ctx, params.n_parallel, params.model_alias, params.port) == (6144, 3, {"m"}, 9)
    assert (params.api_keys, params.use_jinja, params.cache_prompt, params.cont_batching) == (["k3y"], True, True, True)
    assert params.hostnames == ["127.0.0.1"]
    assert "NGRAM" in str(params.speculative.types)


def test_threads_that_wait_sleep_where_that_was_asked_for() -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    for words, poll in ((["m.gguf"], 50), (["m.gguf", "--poll", "0"], 0)):
        params = llamacpp.parameters(xllamacpp, llamacpp.options(words), "")
        assert (params.cpuparams.poll, params.cpuparams_batch.poll) == (poll, poll)


@pytest.mark.parametrize(
    ("given", "poll", "spins"),
    [
        ({}, 0, "'0'"),
        ({}, 50, "'300000'"),
        ({"GOMP_SPINCOUNT": "7"}, 0, "'7'"),
        ({"OMP_WAIT_POLICY": "passive"}, 9, "'0'"),
    ],
)
def test_openmp_is_reported_too_unless_the_user_has_set_it(given: dict[str, str], poll: int, spins: str) -> None:
    pytest.importorskip("xllamacpp")
    code = f"from chatdev.ops.serving import llamacpp; llamacpp._spin({poll}); import xllamacpp"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    output = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | {"OMP_DISPLAY_ENV": "verbose"} | given,
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    if "GOMP_SPINCOUNT" not in output:
        pytest.skip("this wheel does not compute by libgomp")
    assert f"GOMP_SPINCOUNT = {spins}" in output


def test_without_the_wheel_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    assert llamacpp.main(["m.gguf"]) == 2
    assert "pip install" in capsys.readouterr().err


def test_a_model_that_is_none_and_a_setting_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    assert llamacpp.main([str(tmp_path / "m.gguf"), "--port", "0"]) == 1
    assert "llama.cpp could not load the model" in capsys.readouterr().err
    (tmp_path / "chatdev.toml").write_text("nothing = 1")
    monkeypatch.chdir(tmp_path)
    assert llamacpp.main(["m.gguf"]) == 2
    assert "unknown setting nothing" in capsys.readouterr().err


def test_a_flag_that_it_does_not_know_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        llamacpp.options(["m.gguf", "--nope"])
    assert error.value.code == 2
    assert "--nope" in capsys.readouterr().err

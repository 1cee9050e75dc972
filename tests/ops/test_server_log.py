"""A server's log, condensed and understood."""

import pytest

from chatdev.ops.serving.server_log import Condenser, clean, meaning


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("(APIServer pid=7) INFO 11-25 22:49:20 [model.py:2152] Using max model len 4096", "Using max model len 4096"),
        ("0.00.064.888 I srv          init: model loaded", "model loaded"),
        ("2026-11-25T10:00:00.123456Z  INFO text_generation_launcher: Starting Webserver", "Starting Webserver"),
        ("INFO:     Application startup complete.", "Application startup complete."),
        ("\x1b[32mgreen\x1b[0m words", "green words"),
        ("plain words", "plain words"),
    ],
)
def test_a_line_loses_its_time_and_place(line: str, text: str) -> None:
    assert clean(line) == text


def test_what_tells_of_progress_is_shown_once_and_the_rest_is_not() -> None:
    condenser = Condenser()
    lines = [
        "INFO:     Application startup complete.",
        "INFO:     Application startup complete.",
        "(APIServer pid=7) INFO 11-25 22:49:20 [api.py:3] Route: /v1/load, Methods: GET",
        "(Worker pid=7) WARNING 11-25 22:49:49 [utils.py:597] Failed to create oneDNN linear",
        "0.02.719.482 W srv    operator(): load failed",
        "hello",
        "Starting to load model " + "x" * 200,
    ]
    shown = [text for line in lines if (text := condenser.condense(line))]
    assert shown[0] == "Application startup complete."
    assert len(shown) == 2
    assert len(shown[1]) == 110


def test_a_moving_bar_is_shown_in_quarters() -> None:
    bars = [f"model.safetensors: {n:3}%|###   | 1/2 [00:01<00:02, 1.2MB/s]" for n in range(0, 101, 5)]
    condenser = Condenser()
    shown = [text for bar in bars if (text := condenser.condense(bar))]
    assert shown == [f"model.safetensors: {n:3}%" for n in (0, 25, 50, 75, 100)]


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error. (Request ID: Root=1)", "set HF_TOKEN"),
        ("ValueError: No available memory for the cache blocks. Try increasing", "smaller --window"),
        ("ValueError: Free memory on device (9.1/23.6 GiB) on startup is less than desired GPU memory utili", "window"),
        ("vllm: error: unrecognized arguments: --shutdown-timeout 30", "pip install -U vllm"),
        ("OSError: [Errno 98] Address already in use", "--port N"),
        ("docker: Error response from daemon: could not select device driver", "NVIDIA Container Toolkit"),
        ("OSError: We couldn't connect to 'https://huggingface.co' to load the files", "could not be downloaded"),
        ("error loading model: unknown model architecture: 'next'", "Update the engine"),
        ("RuntimeError: Failed to infer device type", "finds no GPU"),
        ("Segmentation fault", ""),
    ],
)
def test_a_failure_is_given_its_next_step(line: str, step: str) -> None:
    found = meaning(["before", line, "after"])
    assert step in found
    assert bool(found) == bool(step)

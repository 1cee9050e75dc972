"""What was set, where, and what is said about a mistake in it."""

import subprocess
import sys
from pathlib import Path

import pytest

from chatdev import settings
from chatdev.errors import SettingsError
from chatdev.settings import Deadlines, Secret, load, others


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_nothing_set_is_the_default_address_and_known_not_to_be_set(folder: Path) -> None:
    found = load({}, folder)
    assert (found.vllm_endpoint, found.endpoint) == (None, "http://localhost:8000/v1")
    assert (found.vllm_model_name, found.vllm_api_key, found.debug, found.openai_base_url) == (
        "default",
        None,
        False,
        None,
    )
    assert found.deadlines == Deadlines(connect=2, first_token=600, idle=300, total=3600)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("http://localhost:8000/v1/chat/completions", "http://localhost:8000/v1"),
        (" gpu:8000 ", "http://gpu:8000/v1"),
        ("https://host/prefix", "https://host/prefix/v1"),
        ("https://host/api/v3", "https://host/api/v3"),
        ("https://host/v1beta/openai/", "https://host/v1beta/openai"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_an_endpoint_is_understood_however_it_is_written(folder: Path, text: str, url: str) -> None:
    assert load({"VLLM_ENDPOINT": text}, folder).vllm_endpoint == url
    assert load({"OPENAI_BASE_URL": text}, folder).openai_base_url == url


@pytest.mark.parametrize("text", ["ftp://host", "http://", "http://host:port", "http://a b", "http://host/v1?x=1"])
def test_what_is_no_address_names_the_variable(folder: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="VLLM_ENDPOINT is not the address of a model server"):
        load({"VLLM_ENDPOINT": text}, folder)


def test_a_password_in_the_address_is_refused_without_showing_it(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"OPENAI_BASE_URL.*a user name or a password") as error:
        load({"OPENAI_BASE_URL": "http://me:hunter2@host"}, folder)
    assert "hunter2" not in str(error.value)


def test_the_old_base_url_counts_after_the_new_one(folder: Path) -> None:
    assert load({"BASE_URL": "http://old/v1"}, folder).openai_base_url == "http://old/v1"
    both = {"BASE_URL": "http://old/v1", "OPENAI_BASE_URL": "http://new/v1"}
    assert load(both, folder).openai_base_url == "http://new/v1"


@pytest.mark.parametrize(("text", "on"), [(t, False) for t in ("", " ", "0", "false", "No", "OFF")] + [("1", True)])
def test_debug_is_off_for_every_word_that_says_so(folder: Path, text: str, on: bool) -> None:
    assert load({"VLLM_DEBUG": text}, folder).debug is on


PLACEHOLDERS = (
    "your_openai_api_key_here your-api-key sk-xxx sk-XXXXXXXX changeme change_me <key> <your key here> xxx "
    "sk-your-key-here sk-... insert_key_here REPLACE_ME placeholder my_openai_api_key OPENAI_API_KEY none"
).split(" ")


@pytest.mark.parametrize("key", [key for key in PLACEHOLDERS if key not in ("<your", "key", "here>")])
def test_a_placeholder_is_no_key_and_a_line_says_so(folder: Path, key: str) -> None:
    found = load({"OPENAI_API_KEY": key}, folder)
    assert found.openai_api_key is None
    assert "OPENAI_API_KEY holds a placeholder" in found.notes[0]


@pytest.mark.parametrize("key", ["sk-proj-Ab3xxxDe", "sk-1234", "EMPTY", "hunter2", "myteam-8f3a", "xai-77"])
def test_a_key_is_a_key(folder: Path, key: str) -> None:
    found = load({"OPENAI_API_KEY": key, "VLLM_API_KEY": "your_key"}, folder)
    assert (found.openai_api_key, found.vllm_api_key, found.notes) == (Secret(key), Secret("your_key"), ())


FILE = """
vllm_endpoint = "gpu:8000"
vllm_model_name = "qwen"
vllm_api_key = "k1"
vllm_debug = true
openai_api_key = "sk-k2"
openai_model = "gpt-9"
openai_base_url = "https://proxy/v1"
ca_file = "ca.pem"
proxy = "http://user:k3@proxy"
window = 8192
[headers]
X-Team = "k4"
[deadlines]
connect = 1
idle = 2.5
"""


def test_the_file_holds_the_same_and_more(folder: Path) -> None:
    (folder / "chatdev.toml").write_text(FILE)
    (folder / "ca.pem").touch()
    found = load({}, folder)
    assert (found.vllm_endpoint, found.vllm_model_name, found.debug) == ("http://gpu:8000/v1", "qwen", True)
    assert (found.openai_model, found.openai_base_url) == ("gpt-9", "https://proxy/v1")
    assert found.deadlines == Deadlines(connect=1, idle=2.5)
    secrets = [found.vllm_api_key, found.openai_api_key, found.proxy, found.headers["X-Team"]]
    assert [secret and secret.reveal() for secret in secrets] == ["k1", "sk-k2", "http://user:k3@proxy", "k4"]
    assert (found.ca_file, found.window) == (folder / "ca.pem", 8192)


def test_the_environment_wins_unless_it_is_blank(folder: Path) -> None:
    (folder / "chatdev.toml").write_text('vllm_model_name = "file"\nvllm_debug = true\n')
    assert load({"VLLM_MODEL_NAME": "env", "VLLM_DEBUG": "0"}, folder).vllm_model_name == "env"
    assert load({"VLLM_MODEL_NAME": " ", "VLLM_DEBUG": ""}, folder).vllm_model_name == "file"
    assert not load({"VLLM_DEBUG": "0"}, folder).debug


def test_no_secret_shows(folder: Path) -> None:
    (folder / "chatdev.toml").write_text(FILE.replace('ca_file = "ca.pem"', ""))
    shown = f"{load({}, folder)!r} {load({}, folder)}"
    assert [secret in shown for secret in ('"k1"', "'k1'", "sk-k2", "k3", "k4")] == [False] * 5
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vllm_endpont = 'x'", r"unknown setting vllm_endpont\.\nKnown settings: vllm_endpoint, "),
        (
            "[deadlines]\nidel = 3",
            r"unknown setting deadlines\.idel\.\nKnown settings: connect, first_token, idle, total",
        ),
        ("[deadlines]\nidle = 'long'", r"deadlines\.idle must be a number above 0, but is 'long'\."),
        ("[deadlines]\nidle = 0", r"deadlines\.idle must be a number above 0, but is 0\."),
        ("deadlines = 3", r"deadlines must be a table, but is 3\."),
        ("window = -1", r"window must be a whole number, but is -1\."),
        ("vllm_debug = 'yes'", r"vllm_debug must be true or false, but is 'yes'\."),
        ("vllm_api_key = 12345", r"vllm_api_key must be a string, but is of type int\."),
        ("[headers]\nA = 'a'\nX-Team = 5", r"headers\.X-Team must be a string, but is of type int\."),
        ("[keys]\n'http://h:1/v1' = 12345", r"keys\.http://h:1/v1 must be a string, but is of type int\."),
        ("[keys]\n'ftp://h' = 'k'", r"a name in \[keys\] is not the address of a model server"),
        ("x = \ny = 1", r"is not valid TOML: .*line 1"),
        ("ca_file = 'nowhere.pem'", r"ca_file names .*nowhere\.pem, but that is not a file"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_what_was_expected_and_found(folder: Path, text: str, words: str) -> None:
    (folder / "chatdev.toml").write_text(text)
    with pytest.raises(SettingsError, match=words) as error:
        load({}, folder)
    assert str(folder / "chatdev.toml") in str(error.value)
    assert "12345" not in str(error.value)


def test_a_file_that_cannot_be_read_is_told(folder: Path) -> None:
    (folder / "chatdev.toml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load({}, folder)


def test_the_example_is_valid_as_it_is_and_with_every_line_taken(folder: Path) -> None:
    example = (Path(__file__).parents[1] / "chatdev.toml.example").read_text()
    (folder / "chatdev.toml").write_text(example)
    assert load({}, folder) == load({}, folder / "nowhere")
    lines = [line.removeprefix("# ") for line in example.splitlines() if line.startswith("# ") and " = " in line]
    tables = [line.removeprefix("# ") for line in example.splitlines() if line.startswith("# [")]
    assert len(lines) >= 14 and len(tables) == 4
    taken = "\n".join(
        line.removeprefix("# ") for line in example.splitlines() if " = " in line or line.startswith("# [")
    )
    (folder / "chatdev.toml").write_text(taken)
    (folder / "company-ca.pem").touch()
    assert load({}, folder).headers.keys() == {"X-Team"}


def test_the_process_has_settings_of_its_own(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VLLM_ENDPOINT", "gpu:1")
    assert settings.load_here().vllm_endpoint == "http://gpu:1/v1"


def test_importing_reads_nothing_and_loads_no_http_library() -> None:
    script = (
        "import sys, chatdev.settings, chatdev.models.types, chatdev.models.choose; print('aiohttp' in sys.modules)"
    )
    environment = {"VLLM_ENDPOINT": "ftp://broken", "PYTHONPATH": str(Path(__file__).parents[1])}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_the_hub_is_where_its_own_library_would_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    plain = others.load_hub({})
    assert (plain.endpoint, plain.token, plain.offline) == ("https://huggingface.co", None, False)
    assert plain.cache == tmp_path / ".cache" / "huggingface" / "hub"
    assert others.load_hub({"XDG_CACHE_HOME": "/x"}).cache == Path("/x/huggingface/hub")
    assert others.load_hub({"HF_HOME": "/h"}).cache == Path("/h/hub")
    assert others.load_hub({"HF_HOME": "/h", "HF_HUB_CACHE": "/c"}).cache == Path("/c")
    other = others.load_hub({"HF_ENDPOINT": "https://mirror/", "HF_TOKEN": " hf_x ", "HF_HUB_OFFLINE": "1"})
    assert (other.endpoint, other.token, other.offline) == ("https://mirror", Secret("hf_x"), True)


def test_the_token_of_a_log_in_is_found(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_y\n")
    assert others.load_hub({"HF_HOME": str(tmp_path)}).token == Secret("hf_y")
    assert others.load_hub({"HF_TOKEN_PATH": str(tmp_path / "token")}).token == Secret("hf_y")
    assert others.load_hub({"HF_HOME": str(tmp_path), "HF_TOKEN": "hf_x"}).token == Secret("hf_x")


def test_gpus_are_chosen_by_the_variables_of_their_makers() -> None:
    assert others.visible_gpus({}) is None
    assert others.visible_gpus({"CUDA_VISIBLE_DEVICES": "0, 2"}) == ("0", "2")
    assert others.visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == ()
    assert others.visible_gpus({"HIP_VISIBLE_DEVICES": "1"}) == ("1",)


def test_a_server_inherits_what_the_user_set_before_what_is_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "1")
    found = others.inherited({"MINE": "2", "SUGGESTED": "3"}, {"FORCED": "4"})
    assert (found["MINE"], found["SUGGESTED"], found["FORCED"]) == ("1", "3", "4")


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c/otlp/"}, "https://c/otlp/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/own"}, "http://c:4318/own"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "True"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({}, None),
    ],
)
def test_spans_go_where_opentelemetrys_own_variables_say(
    folder: Path, environ: dict[str, str], url: str | None
) -> None:
    found = load(environ, folder)
    assert (found.otlp_traces, found.notes) == (url, ())


def test_a_collector_may_stand_in_the_file(folder: Path) -> None:
    (folder / "chatdev.toml").write_text('otel_exporter_otlp_endpoint = "http://file:4318"\n')
    assert load({}, folder).otlp_traces == "http://file:4318/v1/traces"
    own = load({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://own:4318"}, folder)
    assert own.otlp_traces == "http://own:4318/v1/traces"


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "PROTOCOL is grpc"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317"}, "c:4317/v1/traces is not an HTTP address"),
    ],
)
def test_a_collector_that_is_spoken_to_otherwise_is_a_note_and_no_error(
    folder: Path, environ: dict[str, str], why: str
) -> None:
    found = load(environ | {"OPENAI_API_KEY": "your_key_here"}, folder)
    assert found.otlp_traces is None
    assert "placeholder" in found.notes[0]
    assert f"{why}. Use http/protobuf, usually on port 4318." in found.notes[1]


def test_several_endpoints_are_kept_in_their_order_each_once(folder: Path) -> None:
    settings = load({"VLLM_ENDPOINT": " gpu-1:8000, http://gpu-2:8000/v1 ,,gpu-1:8000/"}, folder)
    assert settings.endpoints == ("http://gpu-1:8000/v1", "http://gpu-2:8000/v1")
    assert (settings.vllm_endpoint, settings.more_endpoints) == ("http://gpu-1:8000/v1", ("http://gpu-2:8000/v1",))
    with pytest.raises(SettingsError, match="VLLM_ENDPOINT is not the address"):
        load({"VLLM_ENDPOINT": "gpu-1:8000, ftp://gpu-2"}, folder)


@pytest.mark.parametrize("text", ['"gpu-1, gpu-2"', '["gpu-1", "gpu-2"]'])
def test_several_endpoints_may_stand_in_the_file(folder: Path, text: str) -> None:
    (folder / "chatdev.toml").write_text(f"vllm_endpoint = {text}\n")
    assert load({}, folder).endpoints == ("http://gpu-1/v1", "http://gpu-2/v1")
    assert load({"VLLM_ENDPOINT": "other"}, folder).endpoints == ("http://other/v1",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vllm_endpoint = 1", "vllm_endpoint must be a string or a list of strings, but is 1"),
        ("vllm_endpoint = [1]", r"vllm_endpoint must be a string, but is \[1\]"),
        ('max_cost = "much"', "max_cost must be a number above 0, but is 'much'"),
        ("chatdev_local_only = 1", "chatdev_local_only must be true or false, but is 1"),
    ],
)
def test_a_mistake_in_what_may_be_reached_is_told(folder: Path, text: str, words: str) -> None:
    (folder / "chatdev.toml").write_text(text)
    with pytest.raises(SettingsError, match=words):
        load({}, folder)


def test_what_may_leave_and_what_it_may_cost(folder: Path) -> None:
    assert (load({}, folder).local_only, load({}, folder).max_cost) == (False, None)
    (folder / "chatdev.toml").write_text("chatdev_local_only = true\nmax_cost = 0\n")
    assert (load({}, folder).local_only, load({}, folder).max_cost) == (True, 0)
    assert load({"CHATDEV_LOCAL_ONLY": "0"}, folder).local_only is False


def test_a_key_goes_to_the_endpoints_that_it_was_set_beside_and_to_no_others(folder: Path) -> None:
    settings = load({"VLLM_ENDPOINT": "gpu-1,gpu-2", "VLLM_API_KEY": "secret"}, folder)
    assert settings.reaching(()) is settings
    typed = settings.reaching(("gpu-2", "gpu-3"))
    assert typed.endpoints == ("http://gpu-2/v1", "http://gpu-3/v1")
    assert [typed.owns(f"http://gpu-{number}/v1") for number in (1, 2, 3)] == [True, True, False]
    alone = load({"VLLM_API_KEY": "secret"}, folder).reaching(("gpu-3",))  # set for what else, if not for this one
    assert alone.owns("http://gpu-3/v1")
    with pytest.raises(SettingsError, match="--endpoint is not the address"):
        settings.reaching(("ftp://x",))

"""What was set, where, and what is said about a mistake in it."""

import subprocess
import sys
from pathlib import Path

import pytest

from chatdev import settings
from chatdev.errors import SettingsError
from chatdev.settings import Deadlines, Secret, load, others, urls


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
    assert found.deadlines == Deadlines(connect=2, first_token=600, idle=300, total=3600, loading=600)


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
        ("http://h/v1/chat/completions/", "http://h/v1"),
        ("http://h/v1//chat/completions", "http://h/v1"),
        ("http://h/v1/completions", "http://h/v1"),
        ("http://h/v1/chat", "http://h/v1"),
        ("http://h/v1/models", "http://h/v1"),
        ("http://h/v1/responses", "http://h/v1"),
        ("http://h/chat/completions", "http://h/v1"),
        ("http://h:11434/api/chat", "http://h:11434/v1"),
        ("http://h/models", "http://h/models/v1"),
        ("http://müller.example./v1", "http://müller.example./v1"),
    ],
)
def test_an_endpoint_is_understood_however_it_is_written(folder: Path, text: str, url: str) -> None:
    assert load({"VLLM_ENDPOINT": text}, folder).vllm_endpoint == url
    assert load({"OPENAI_BASE_URL": text}, folder).openai_base_url == url


@pytest.mark.parametrize(
    "text",
    [
        *("ftp://host", "http://", "http://host:port", "http://a b", "http://host/v1?x=1", "http://host:70000"),
        *(
            "http://a..b:8000",
            "http://.host",
            "http://host..",
            f"http://{'a' * 64}.example",
            "http://a*b",
            "http://h%41",
        ),
        *(
            f"http://{'a.' * 130}b",
            "http://h\\v1",
            "http://h\x07",
            "http://h/\x1b[2J",
            "http://h\udcff/v1",
            "http://[::g]",
        ),
        *("http://\u2028h", f"http://{'ä' * 70}.de"),
    ],
)
def test_what_is_no_address_names_the_variable(folder: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"VLLM_ENDPOINT (is not the address of a model server|contains)"):
        load({"VLLM_ENDPOINT": text}, folder)


def test_a_password_in_the_address_is_refused_without_showing_it(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"OPENAI_BASE_URL.*a user name or a password") as error:
        load({"OPENAI_BASE_URL": "http://me:hunter2@host"}, folder)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("text", ["http://me:hunter2@a..b", "me:hunter2@a..b", "http://me:hun/ter2@h", "h?key=hunter2"])
def test_an_address_that_cannot_be_is_shown_without_its_login(folder: Path, text: str) -> None:
    for variable in ("VLLM_ENDPOINT", "OPENAI_API_BASE"):
        with pytest.raises(SettingsError, match=variable) as error:
            load({variable: text}, folder)
        assert "hun" not in str(error.value)


def test_the_old_base_url_counts_after_the_new_one(folder: Path) -> None:
    assert load({"BASE_URL": "http://old/v1"}, folder).openai_base_url == "http://old/v1"
    both = {"BASE_URL": "http://old/v1", "OPENAI_BASE_URL": "http://new/v1"}
    assert load(both, folder).openai_base_url == "http://new/v1"
    assert load({"OPENAI_API_BASE": "http://older"}, folder).openai_base_url == "http://older/v1"


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


@pytest.mark.parametrize("key", ["sk-proj-Ab3xxxDe", "sk-1", "sk-svcacct-77"])
def test_a_key_of_openai_is_a_key(folder: Path, key: str) -> None:
    found = load({"OPENAI_API_KEY": key, "VLLM_API_KEY": "your_key"}, folder)
    assert (found.openai_api_key, found.vllm_api_key, found.notes) == (Secret(key), Secret("your_key"), ())


LOCAL_KEYS = (
    "EMPTY not-needed lm-studio ollama sk-no-key-required dummy - no-key token-abc123 sk-1234 sk-none sk-dummy hunter2"
)


@pytest.mark.parametrize("key", LOCAL_KEYS.split())
def test_a_key_for_a_local_server_is_no_key_of_openai(folder: Path, key: str) -> None:
    for more in ({}, {"VLLM_ENDPOINT": "gpu:8000"}, {"OPENAI_BASE_URL": "https://api.openai.com/v1"}):
        found = load({"OPENAI_API_KEY": key, **more}, folder)
        assert found.openai_api_key is None
        assert "no key of OpenAI" in found.notes[0]
    elsewhere = load({"OPENAI_API_KEY": key, "OPENAI_BASE_URL": "https://service.example/v1"}, folder)
    assert (elsewhere.openai_api_key, elsewhere.vllm_endpoint, elsewhere.notes) == (Secret(key), None, ())


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "OPENAI_API_BASE", "BASE_URL"])
def test_a_local_server_in_openais_place_is_the_users_own_endpoint(folder: Path, name: str) -> None:
    found = load({name: "http://localhost:1234/v1", "OPENAI_API_KEY": "lm-studio"}, folder)
    assert (found.endpoints, found.vllm_model_name) == (("http://localhost:1234/v1",), "default")
    assert (found.keys, found.notes) == ({"http://localhost:1234/v1": Secret("lm-studio")}, ())
    assert found.sources["VLLM_ENDPOINT"] == f"{name} in the environment"
    named = load({name: "gpu.lan:1234", "OPENAI_MODEL": "qwen"}, folder)
    assert (named.endpoint, named.vllm_model_name, named.keys) == ("http://gpu.lan:1234/v1", "qwen", {})
    own = load({name: "localhost:1234", "VLLM_ENDPOINT": "gpu"}, folder)
    assert own.endpoints == ("http://gpu/v1",)
    typed = load({name: "localhost:1234", "VLLM_API_KEY": "k"}, folder).reaching(("gpu-3",))
    assert typed.owns("http://gpu-3/v1"), "a key without VLLM_ENDPOINT belongs to the endpoint that is typed"


@pytest.mark.parametrize("character", ["\x00", "\n", "\x1b", "\udcff", "\u2028", "\x7f"])
@pytest.mark.parametrize("name", ["VLLM_API_KEY", "OPENAI_API_KEY", "VLLM_MODEL_NAME", "OPENAI_MODEL"])
def test_a_character_that_cannot_be_sent_is_an_error_at_once(folder: Path, name: str, character: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name} contains the character U\+") as error:
        load({name: f"sk-{character}secret"}, folder)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        '[headers]\n"X Team" = "a"',
        '[headers]\n"" = "a"',
        '[headers]\nX-Team = "a\\nHost: b"',
        '[keys]\n"http://h" = "a\\u0000b"',
    ],
)
def test_a_header_that_cannot_be_sent_is_an_error_at_once(folder: Path, text: str) -> None:
    (folder / "chatdev.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"chatdev\.toml: (headers|the key of)"):
        load({}, folder)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_are_found_where_other_programs_find_them(folder: Path, name: str) -> None:
    (folder / "ca.pem").touch()
    assert load({name: str(folder / "ca.pem")}, folder).ca_file == folder / "ca.pem"
    assert load({name: str(folder)}, folder).ca_file == folder
    assert load({name: "/nowhere.pem"}, folder).ca_file is None
    (folder / "own.pem").touch()
    (folder / "chatdev.toml").write_text('ca_file = "own.pem"\n')
    assert load({name: str(folder / "ca.pem")}, folder).ca_file == folder / "own.pem"


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
    secrets = [found.vllm_api_key, found.openai_api_key, found.proxies.own, found.headers["X-Team"]]
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
            r"unknown setting deadlines\.idel\.\nKnown settings: connect, first_token, idle, total, loading",
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


def test_a_file_that_cannot_be_read_is_reported(folder: Path) -> None:
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


def test_a_user_without_a_home_has_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def getpwuid(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", getpwuid)
    assert not others.load_hub({}).cache.exists()
    assert load({}, tmp_path).cache is None


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
def test_a_mistake_in_what_may_be_reached_is_reported(folder: Path, text: str, words: str) -> None:
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


PROXIES = {
    "HTTP_PROXY": "http://plain.example:1",
    "https_proxy": "secure.example:2",
    "NO_PROXY": "direct.example, .inner.example,10.0.0.0/8, [fd00::1]",
}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://model.example/v1", "http://plain.example:1"),
        ("https://model.example/v1", "http://secure.example:2"),
        ("https://direct.example/v1", None),
        ("https://below.direct.example/v1", None),
        ("https://gpu.inner.example/v1", None),
        ("https://redirect.example/v1", "http://secure.example:2"),
        ("http://10.1.2.3:8000/v1", None),
        ("http://11.1.2.3:8000/v1", "http://plain.example:1"),
        ("http://[fd00::1]:8000/v1", None),
        ("http://localhost:8000/v1", None),
        ("http://127.0.0.2:8000/v1", None),
        ("http://[::1]:8000/v1", None),
        ("http://a.localhost/v1", None),
    ],
)
def test_the_proxy_of_the_environment_leads_to_all_that_it_does_not_exclude(
    folder: Path, url: str, proxy: str | None
) -> None:
    found = load(PROXIES, folder).proxies.to(url)
    assert (found and found.reveal()) == proxy
    assert load({**PROXIES, "no_proxy": "*"}, folder).proxies.to(url) is None
    (folder / "chatdev.toml").write_text('proxy = "http://own.example:3"\n')
    own = load(PROXIES, folder).proxies.to(url)
    assert own is None if "localhost" in url or "127" in url or "::1]" in url[:12] else own is not None


@pytest.mark.parametrize(
    "proxy",
    [
        *(
            "proxy.example:3128",
            "socks5://proxy:1080",
            "socks5h://p:1",
            "http://a..b:3128",
            "http://",
            "http://p:99999",
        ),
        "http://user:hunter2@a..b",
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_at_load(folder: Path, proxy: str) -> None:
    (folder / "chatdev.toml").write_text(f'proxy = "{proxy}"\n')
    with pytest.raises(SettingsError, match=r"chatdev\.toml: proxy is not the address of a proxy") as error:
        load({}, folder)
    assert "hunter2" not in str(error.value)


def test_a_proxy_of_the_whole_machine_is_refused_only_where_it_would_be_used(folder: Path) -> None:
    found = load({"ALL_PROXY": "socks5://proxy:1080"}, folder).proxies
    assert found.to("http://localhost:8000/v1") is None
    with pytest.raises(SettingsError, match="ALL_PROXY is not the address of a proxy"):
        found.to("https://api.openai.com/v1")


def test_the_logins_of_all_proxies_are_secrets(folder: Path) -> None:
    found = load({"HTTPS_PROXY": "http://me:p%40ssword@proxy:1", "all_proxy": "you:letmein@other"}, folder)
    assert {"p%40ssword", "p@ssword", "bWU6cEBzc3dvcmQ=", "you:letmein"} <= found.secrets


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True), ("gpu", True), ("gpu.lan", True), ("host.docker.internal", True), ("10.1.2.3", True),
        ("fd00::1", True), ("fe80::1%eth0", True), ("api.openai.com", False), ("8.8.8.8", False), ("openai.com", False),
    ],
)  # fmt: skip
def test_a_private_host_is_known_by_its_name_or_address(host: str, private: bool) -> None:
    assert urls.is_private(host) is private


@pytest.mark.parametrize(("host", "theirs"), [("api.openai.com", True), ("openai.com", True), ("notopenai.com", False)])
def test_openai_is_known_by_its_domain(host: str, theirs: bool) -> None:
    assert urls.is_openai(host) is theirs

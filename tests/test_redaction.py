"""Known secrets are taken out of texts, values and errors, in each form in which they are written."""

import base64

import msgspec
import pytest

from chatdev.errors import UserError
from chatdev.redaction import Redactor, is_telling, values

KEY = 'sk-de"coy/4711'


class Inner(msgspec.Struct, frozen=True, tag="inner"):
    text: str = ""
    number: float | None = None


class Outer(msgspec.Struct, frozen=True, tag="outer"):
    inner: Inner
    many: tuple[str, ...] = ()
    by_name: dict[str, str] = {}


@pytest.mark.parametrize(
    "written",
    [
        KEY, 'sk-de\\"coy/4711', "sk-de%22coy%2F4711", "sk-de%22coy%2f4711", "sk-de%22coy/4711",
        "sk-de&quot;coy/4711", "sk-de&#34;coy/4711",
    ],
)  # fmt: skip
def test_a_secret_is_found_as_itself_in_json_in_an_address_and_in_html(written: str) -> None:
    assert Redactor([KEY]).text(f"<{written}>") == "<***>"


@pytest.mark.parametrize(
    "written", ["a b&c'd", "a+b%26c%27d", "a%20b%26c%27d", "a b&amp;c&#x27;d", "a b&amp;c&#39;d", "a b&amp;c'd"]
)
def test_a_secret_is_found_as_a_form_and_html_write_it(written: str) -> None:
    assert Redactor(["a b&c'd"]).text(f"<{written}>") == "<***>"


def test_the_longest_secret_goes_first() -> None:
    assert Redactor(["abcd", "abcdef"]).text("abcdef abcd") == "*** ***"


def test_a_struct_is_cleaned_in_depth_and_stays_of_its_kind() -> None:
    value = Outer(Inner(f"my key is {KEY}", 1.5), ("a", KEY), {KEY: f"{KEY}!"})
    assert Redactor([KEY]).value(value) == Outer(Inner("my key is ***", 1.5), ("a", "***"), {"***": "***!"})


def test_a_struct_without_any_is_itself_and_so_is_everything_without_secrets() -> None:
    value = Outer(Inner("nothing here"))
    assert Redactor([KEY]).value(value) is value
    assert Redactor().value(value) is value
    assert Redactor().text("same") == "same"


def test_an_errors_own_words_are_cleaned() -> None:
    error = UserError(f"refused {KEY}", tried=[f"with {KEY}"], do=f"not {KEY}")
    Redactor([KEY]).error(error)
    assert str(error) == "refused ***\n  tried: with ***\nnot ***"
    assert KEY not in repr(error)
    assert error.exit_status == 2


def test_what_gives_a_header_or_a_proxy_away() -> None:
    login = base64.b64encode(b"me:open sesame").decode()
    found = values([f"Basic {login}", "Basic !", "Bearer tok-4711"], "http://user:p%40ss@proxy:3128")
    assert {login, "open sesame", "me:open sesame", "tok-4711", "user:p%40ss", "p%40ss", "p@ss"} <= found
    assert not values(["abc"])
    assert {base64.b64encode(b"user:p@ss").decode(), "user:p@ss"} <= found, "as a client sends it"
    several = values((), "http://one:first@a", "https://two:second@b:1/", "nothing", "http://[bad:thirdword@")
    assert {"first", "second"} <= several


@pytest.mark.parametrize("word", ["EMPTY", "not-needed", "ollama", "lm-studio", "sk-no-key-required", "dummy", "vllm"])
def test_a_word_in_the_place_of_a_key_is_no_secret(word: str) -> None:
    assert values([word]) == set()


@pytest.mark.parametrize("word", ["EMPTY", "dummy", "localhost", "12345678", "not-needed"])
def test_a_word_is_not_taken_out_of_code(word: str) -> None:
    assert not is_telling(word)


@pytest.mark.parametrize("key", ["sk-1234567890", "s3cret", "correct horse battery"])
def test_a_key_is(key: str) -> None:
    assert is_telling(key)

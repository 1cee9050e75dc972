"""A program's output in the form for a prompt: the same text for the same behaviour, limited in length."""

import re
from collections.abc import Sequence

_CUT = "[…]\n"
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")  # ECMA-48; OSC by xterm
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{8,16}\b")
_DURATION = re.compile(r"\b\d+\.\d+(?:e-\d+)?\s?(?:s|secs?|seconds)\b|\b\d+(?:\.\d+)?(?:e-\d+)?\s?(?:ms|[uµ]s|ns)\b")
_TEMPORARY = re.compile(r"\btmp[a-z0-9_]{8}\b")  # the names that Python's tempfile gives


def normalise(text: str, *, folder: str = "", home: str = "", temporary: str = "", limit: int = 4000) -> str:
    """The end of ``text``, at most ``limit`` bytes of UTF-8, without what differs from run to run.

    Durations with a fraction, addresses of objects and temporary names are replaced; so are the product's ``folder``
    (its paths become relative), ``home`` and the folder for ``temporary`` files. Terminal escapes and other control
    characters are dropped. If the beginning was cut off, that is marked.
    """
    text = text[-4 * limit :]  # enough, even if most of it is dropped below
    for path, name in _longest_first(((folder, "."), (home, "~"), (temporary, "/tmp"))):  # noqa: S108 - only words
        if name == ".":
            text = text.replace(f"{path}/", "")
        text = text.replace(path, name)
    text = _CONTROL.sub("", _ESCAPE.sub("", text.replace("\r\n", "\n")))
    for pattern, name in ((_ADDRESS, "0x…"), (_DURATION, "<time>"), (_TEMPORARY, "tmp…")):
        text = pattern.sub(name, text)
    return _end(text.strip("\n"), limit)


# Tokens that chat templates put between turns. An engine obeys them anywhere in a message.
_TEMPLATE_TOKEN = re.compile(
    # ChatML, Llama 3 and 4, Phi, Granite, gpt-oss, Command R; DeepSeek, Hunyuan; EXAONE.
    r"<(?=\|[^|<>\n]{1,60}\|>|｜[^｜<>\n]{1,60}｜>)"
    r"|\[(?=\|[^|\[\]\n]{1,40}\|\])"
    # Llama 2, T5, older Command R, Gemma, SmolVLM, GLM.
    r"|<(?=/?(?:s|bos|eos|pad|unk|sop|eop|image|video|audio)>|</?SYS>>|(?:BOS|EOS|PAD|UNK)_TOKEN>)"
    r"|<(?=(?:start|end)_of_(?:turn|image|audio|role|utterance|text|document)>|fake_token_around_image>)"
    # Qwen, Hermes, Seed-OSS, code models, unused and reserved ones.
    r"|<(?=/?(?:tool_calls?|tool_response|tool_result|think|seed:[\w-]{1,40})>)"
    r"|<(?=(?:endoftext|fim_(?:prefix|middle|suffix|pad)|file_sep|repo_name|(?:unused|reserved_|extra_id_)\d{1,5})>)"
    # Mistral, GLM, MiniMax.
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|MODEL_SETTINGS|ARGS|CALL_ID"
    r"|IMG|IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO|THINK|PREFIX|SUFFIX|MIDDLE|[gs]?MASK)\])"
    r"|\](?=~!?b[\[\]])|\[(?=e~\[)"
)
# Control characters beyond ASCII, and those that reorder or hide text (bidirectional, zero width, plane 14 tags).
_UNSEEN = re.compile("[\x80-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")


def inert(text: str) -> str:
    """A program's output, safe for a prompt: nothing in it can end a turn, or is visible to a model alone.

    A template's token gets a backslash after its first character, so that it stays recognisable; text that people do
    not see is dropped. Files are not changed like this: a program that contains such a token must keep it.
    """
    return _TEMPLATE_TOKEN.sub(r"\g<0>\\", _UNSEEN.sub("", text))


_SIGNATURES = {
    "png": b"\x89PNG\r\n\x1a\n",
    "jpg": b"\xff\xd8\xff",
    "jpeg": b"\xff\xd8\xff",
    "gif": b"GIF8",
    "bmp": b"BM",
    "webp": b"RIFF",
    "pdf": b"%PDF-",
    "docx": b"PK\x03\x04",
    "odt": b"PK\x03\x04",
    "xlsx": b"PK\x03\x04",
    "ods": b"PK\x03\x04",
}
_TEXTS = frozenset("csv htm html json md rst svg tex tsv txt xml".split())


def is_sound(path: str, size: int, head: bytes) -> bool:
    """Whether a file that a program made is a document, a picture or a table of the kind that its extension says.

    ``head`` are its first bytes: the format's signature (PNG, JPEG, GIF, BMP, WebP, PDF, Office's zip), or UTF-8 text
    that is not blank.
    """
    ending = path.rpartition(".")[2].lower()
    if signature := _SIGNATURES.get(ending):
        return size > len(signature) and head.startswith(signature)
    if ending not in _TEXTS or not head.strip():
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return size > len(head) and error.end == len(head)  # a character that is cut at the end of the head
    return True


def _longest_first(names: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted((entry for entry in names if len(entry[0]) > 1), key=lambda entry: -len(entry[0]))


def _end(text: str, limit: int) -> str:
    data = text.encode(errors="replace")
    if len(data) <= limit:
        return data.decode()
    end = data[len(_CUT.encode()) - limit :].decode(errors="ignore")
    line = end.find("\n") + 1
    return _CUT + (end[line:] if 0 < line < len(end) // 2 else end)

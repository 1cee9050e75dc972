"""Condenses a starting server's log: what it is doing, how far it is, and what a failure means. Pure."""

import re
from collections.abc import Iterable

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_HEAD = re.compile(
    r"^(?:\([\w -]+ pid=\d+\) *)?"  # vLLM's processes
    r"(?:(?:INFO|WARNING|ERROR|DEBUG):? +\d\d-\d\d [\d:]+ \[[^\]]*\] *"  # vLLM
    r"|\d+\.\d\d\.\d{3}\.\d{3} [A-Z] (?:\w+ +[\w~:()<>]+: )?"  # llama.cpp
    r"|\d{4}-\d\d-\d\dT[\d:.]+Z? +[A-Z]+ +[\w:.]+: *"  # TGI
    r"|(?:INFO|WARNING|ERROR): +)?"  # uvicorn
)
_NOTABLE = re.compile(
    r"\berror\b|exception|out of memory|\bOOM\b|fail|download|pull|loading|load(ed)? |weights|kv cache|"
    r"initiali[sz]ing|resolved arch|compil|captur|graph|warm(ing)? ?up|profil|init engine|listening|"
    r"startup complete|shard|conver(t|sion)",
    re.IGNORECASE,
)
_DULL = re.compile(r"warning|deprecat|^Route:|priority|verbosity|--use|disabled|threadpool|prefetch|LD_PRELOAD", re.I)
_WARNING = re.compile(r"^(\([^)]*\) *)?WARNING:? |^\d+\.\d\d\.\d{3}\.\d{3} W |\d WARN ")
_PERCENT = re.compile(r"(\d{1,3})%")

_MEANINGS = (
    (
        r"gated repo|GatedRepoError|401 Client Error|403 Client Error|awaiting a review|requires? authentication",
        "The Hub requires authentication: accept the model's terms on its page, and set HF_TOKEN.",
    ),
    (
        r"CUDA out of memory|HIP out of memory|OutOfMemoryError|less than desired (GPU|CPU) memory|"
        r"No available memory for the cache blocks|larger than the (maximum number of tokens|available KV cache)|"
        r"KV cache is needed, which is larger|failed to allocate|unable to allocate",
        "It needs more memory than there is: set a smaller --window, use a quantised model, or stop other programs on "
        "the GPU (nvidia-smi, rocm-smi).",
    ),
    (
        r"unrecognized arguments|unexpected argument|No such option",
        "It does not know one of the flags: its version is too old. Update it (pip install -U vllm).",
    ),
    (r"Address already in use|address in use|port is already allocated|couldn't bind", "Choose another port: --port N"),
    (
        r"Cannot connect to the Docker daemon|permission denied while trying to connect to the (D|d)ocker",
        "Docker is not running, or you may not use it: sudo systemctl start docker, or add yourself to the docker "
        "group.",
    ),
    (
        r"could not select device driver|nvidia-container-cli|unknown or invalid runtime",
        "Docker does not see the GPU: install the NVIDIA Container Toolkit.",
    ),
    (
        r"Name or service not known|Temporary failure in name resolution|Max retries exceeded|ConnectError|"
        r"couldn't connect to .*huggingface|LocalEntryNotFound|not a valid model identifier|"
        r"outgoing traffic has been disabled",
        "The model could not be downloaded: check its name and your connection, or name a folder that contains it.",
    ),
    (
        r"unknown model architecture|architectures? .* (is|are) not supported|does not recognize this architecture",
        "This version of the engine does not support this model. Update the engine, or use another model.",
    ),
    (
        r"Failed to infer device type|No CUDA GPUs are available|NVIDIA driver",
        "It finds no GPU: check its driver (nvidia-smi, rocm-smi), or install the engine's CPU build.",
    ),
)


def clean(line: str) -> str:
    """A line without colours, process, time and source location."""
    return _HEAD.sub("", _COLOUR.sub("", line), count=1).strip()


def meaning(lines: Iterable[str]) -> str:
    """The next step for a server that failed to start, from its last lines; empty if that is not known."""
    text = "\n".join(lines)
    return next((step for pattern, step in _MEANINGS if re.search(pattern, text, re.IGNORECASE)), "")


class Condenser:
    """Reduces a log, line by line, to the lines that show progress; a progress bar is shown only in quarters."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def condense(self, line: str) -> str:
        """What to show of this line: at most 110 characters, or nothing."""
        text = clean(line)
        percent = _PERCENT.search(text)
        if percent:
            quarter = int(percent[1]) // 25 * 25
            key = f"{re.split(r'[:|]', text[: percent.start()])[0].strip()} {quarter}"
            shown = re.sub(r" *\|[^|]*\|.*| *\[.*", "", text)
        else:
            key = re.sub(r"\d+", "#", text)
            dull = _DULL.search(text) or _WARNING.search(line)
            shown = text if _NOTABLE.search(text) and not dull else ""
        if not shown or key in self._seen:
            return ""
        self._seen.add(key)
        return shown if len(shown) <= 110 else f"{shown[:109]}…"

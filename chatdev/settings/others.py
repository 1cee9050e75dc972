"""The user's settings for tools that ChatDev uses: the Hugging Face Hub, container engines, pip, GPUs."""

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from chatdev.settings import Secret


class HubSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The Hugging Face Hub settings that its own library uses; ``cache`` is where that library stores models."""

    endpoint: str
    token: Secret | None
    cache: Path
    offline: bool


def _home(environ: Mapping[str, str]) -> str:
    """The user's home; a folder that does not exist for a user without one."""
    return environ.get("HOME") or os.path.expanduser("~").replace("~", "/nonexistent")  # noqa: PTH111 - Path.home raises


def load_hub(environ: Mapping[str, str] = os.environ) -> HubSettings:
    """Read the Hub's variables: HF_ENDPOINT, HF_TOKEN (or the token stored by a login), HF_HOME, HF_HUB_OFFLINE."""
    caches = Path(environ.get("XDG_CACHE_HOME") or Path(_home(environ)) / ".cache")
    home = Path(environ.get("HF_HOME") or caches / "huggingface")
    token = environ.get("HF_TOKEN", "").strip()
    if not token:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            token = Path(environ.get("HF_TOKEN_PATH") or home / "token").read_text(encoding="utf-8-sig").strip()
    return HubSettings(
        endpoint=(environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/"),
        token=Secret(token) if token else None,
        cache=Path(environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE") or home / "hub"),
        offline=environ.get("HF_HUB_OFFLINE", "").strip().upper() in ("1", "ON", "YES", "TRUE"),
    )


class ContainerEngine(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a container engine: the ``image`` that programs run in, and the variables that its client needs."""

    image: str = "docker.io/library/python:3.12-slim"
    environment: Mapping[str, str] = {}


_OF_ENGINES = re.compile(
    r"PATH|HOME|XDG_(RUNTIME_DIR|CONFIG_HOME|DATA_HOME)|DOCKER_\w+|CONTAINER_\w+|CONTAINERS_\w+|LANG"
)


def load_engine(environ: Mapping[str, str] = os.environ) -> ContainerEngine:
    """Read CHATDEV_SANDBOX_IMAGE, and the variables that Docker's and podman's clients use to find their engine."""
    needed = {name: value for name, value in environ.items() if _OF_ENGINES.fullmatch(name)}
    image = environ.get("CHATDEV_SANDBOX_IMAGE", "").strip()
    return ContainerEngine(image=image, environment=needed) if image else ContainerEngine(environment=needed)


class PipSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The user's pip settings: its variables, those of proxies and certificates, and its configuration file."""

    environment: Mapping[str, str] = {}
    config: bytes = b""


_OF_PIP = re.compile(
    r"PIP_\w+|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|XDG_CONFIG_DIRS|LANG|LC_\w+", re.I
)


def load_pip(environ: Mapping[str, str] = os.environ) -> PipSettings:
    """Only what pip needs of ``environ`` to reach an index, so no key of a model server is passed on."""
    home = Path(environ.get("HOME") or "/nonexistent")
    own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    stated = environ.get("PIP_CONFIG_FILE")
    config = b""
    for path in [Path(stated)] if stated else [own, home / ".pip" / "pip.conf"]:
        with contextlib.suppress(OSError):
            config = path.read_bytes()
            break
    return PipSettings(
        environment={
            name: value for name, value in environ.items() if _OF_PIP.fullmatch(name) and name != "PIP_CONFIG_FILE"
        },
        config=config,
    )


def visible_gpus(environ: Mapping[str, str] = os.environ) -> tuple[str, ...] | None:
    """The GPUs that programs should use, by index or name, from the variables of CUDA and ROCm; None for all GPUs."""
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        if (listed := environ.get(name)) is not None:
            return tuple(filter(None, (each.strip() for each in listed.split(","))))
    return None


def inherited(suggested: Mapping[str, str], forced: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server that we start: the user's own overrides ``suggested``; ``forced`` overrides both."""
    return {**suggested, **os.environ, **forced}


def is_set(name: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the user has set a variable that does not belong to ChatDev."""
    return bool(environ.get(name))


def suggest(name: str, value: str) -> None:
    """Set a variable for a library that reads it when it is imported, unless the user has set it."""
    os.environ.setdefault(name, value)

"""A model on the Hugging Face Hub: from this user's cache, or from the Hub itself, with a short timeout.

The cache's layout: ``models--ORG--NAME/refs/main`` names the folder of ``snapshots`` that holds the files.
"""

import asyncio
import os
import re
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import msgspec

from chatdev.errors import UserError
from chatdev.ops.serving import weights
from chatdev.ops.serving.weights import Need
from chatdev.settings.others import HubSettings

PATIENCE = 5.0
"""Seconds for one answer. The Hub only reports sizes; a model can be started without them."""

_REFUSED = (401, 403, 404)


async def find(model: str, hub: HubSettings) -> Need:
    """What the user's MODEL (a file, a folder, or a name on the Hub) is and needs. Raises UserError."""
    path = Path(os.path.expanduser(model))  # noqa: PTH111 - Path.expanduser raises for an unknown user
    if path.exists():
        return weights.local(path)
    if model.endswith(".gguf") or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model) or model.startswith("."):
        raise UserError(
            f"There is no file or folder {model}.",
            do="chatdev serve takes a .gguf file, a model folder, or a name on the HubSettings, such as "
            "Qwen/Qwen2.5-Coder-7B-Instruct.",
        )
    if cached := in_cache(model, hub.cache):
        return cached
    if hub.offline:
        raise UserError(
            f"{model} is not in {hub.cache}, and HF_HUB_OFFLINE forbids downloading it.",
            do="Unset HF_HUB_OFFLINE, or name a folder or a .gguf file.",
        )
    try:
        return await _on_hub(model, hub)
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        why = f"since {hub.endpoint} did not answer ({type(error).__name__})"
    if need := weights.by_name(model):
        return msgspec.structs.replace(need, source=f"{need.source}, {why}")
    return Need(name=model.rpartition("/")[2], form="unknown", source=f"nothing, {why}", estimated=True)


def in_cache(model: str, cache: Path) -> Need | None:
    """The model if all its weights are in the cache. Raises UserError if it has only GGUF files."""
    folder = cache / f"models--{model.replace('/', '--')}"
    try:
        snapshot = folder / "snapshots" / (folder / "refs" / "main").read_text().strip()
        names = {file.name for file in snapshot.iterdir()}
        index = snapshot / "model.safetensors.index.json"
        wanted = set(msgspec.json.decode(index.read_bytes())["weight_map"].values()) if index.exists() else set()
    except (OSError, msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return None
    whole = wanted <= names and any(name.endswith((".safetensors", ".bin")) for name in names)
    if "config.json" in names and whole:
        need = weights.local(snapshot)
        return msgspec.structs.replace(need, name=model.rpartition("/")[2], path=None, source=f"its files in {cache}")
    if "config.json" not in names and any(name.endswith(".gguf") for name in names):
        return weights.local(snapshot)
    return None


async def _on_hub(model: str, hub: HubSettings) -> Need:
    headers = {"Authorization": f"Bearer {hub.token.reveal()}"} if hub.token else {}
    async with aiohttp.ClientSession(
        headers=headers, timeout=aiohttp.ClientTimeout(total=PATIENCE), trust_env=True
    ) as session:
        (status, code, body), (config_status, config_code, config) = await asyncio.gather(
            _get(session, f"{hub.endpoint}/api/models/{model}?blobs=true"),
            _get(session, f"{hub.endpoint}/{model}/resolve/main/config.json"),
        )
    if "GatedRepo" in (code, config_code):
        _refuse_gated(model, hub)
    if status in _REFUSED:
        _refuse_unknown(model, hub)
    if status != 200:
        raise aiohttp.ClientError(f"status {status}")
    files = _sizes(msgspec.json.decode(body))
    size = weights.weights_among(files)
    name = model.rpartition("/")[2]
    if size and config_status == 200:
        need = weights.of_config(name, weights.read_config(config, f"{model}'s config.json"), size)
        return msgspec.structs.replace(need, source="the HubSettings", download=size)
    if ggufs := sorted(file for file in files if file.endswith(".gguf")):
        return Need(name=name, form="gguf", source="the HubSettings", gguf_files=tuple(ggufs))
    raise UserError(
        f"{model} has neither a config.json with weights nor GGUF files, so it cannot be served.",
        do=f"See its page: {hub.endpoint}/{model}",
    )


async def _get(session: aiohttp.ClientSession, url: str) -> tuple[int, str, bytes]:
    """Status, the Hub's own error code, and body."""
    async with session.get(url) as answer:
        return answer.status, answer.headers.get("X-Error-Code", ""), await answer.read()


def _sizes(description: Any) -> dict[str, int]:
    """The sizes in bytes of a repository's top-level files, by name."""
    listed = description.get("siblings") if isinstance(description, dict) else None
    return {
        entry["rfilename"]: entry.get("size") or 0
        for entry in (listed if isinstance(listed, list) else ())
        if isinstance(entry, dict) and "/" not in entry.get("rfilename", "/")
    }


def _refuse_gated(model: str, hub: HubSettings) -> NoReturn:
    agree = f"Accept its terms at {hub.endpoint}/{model}"
    if hub.token:
        raise UserError(
            f"{model} is gated, and the account of your HF_TOKEN has no access to it.",
            do=f"{agree} with that account, wait for approval if its owner requires it, and try again.",
        )
    raise UserError(
        f"{model} is gated: only accounts that accepted its terms can download it, and HF_TOKEN is not set.",
        do=f"{agree}, create a read token at {hub.endpoint}/settings/tokens, and then:\n  export HF_TOKEN=hf_…",
    )


def _refuse_unknown(model: str, hub: HubSettings) -> NoReturn:
    private = "" if hub.token else " If it is private, set HF_TOKEN."
    raise UserError(
        f"There is no file or folder {model} here, and no such model on {hub.endpoint}.",
        do=f"Check its spelling.{private}",
    )

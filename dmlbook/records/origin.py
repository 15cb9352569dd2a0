"""Where and with what a figure was made."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from dmlbook._checks import checked
from dmlbook.nets import PUBLISHED
from dmlbook.settings import device, mode, project_root

PACKAGES = ("dmlbook", "torch", "torchvision", "lightning", "scikit-learn", "numpy")


def provenance() -> dict:
    """What a figure depends on beside its configuration: machine, device, versions, commit, mode, time (UTC)."""
    import torch

    where = device()
    accelerator = torch.cuda.get_device_name() if where == "cuda" else where
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} logical cores",
        "device": accelerator,
        "threads": torch.get_num_threads(),
        "versions": versions,
        "commit": _commit(),
        "mode": mode(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@checked
def described(network: Mapping[str, object]) -> dict[str, object]:
    """Settings of a network for a record: files of weights and of code are named without their folders.

    Args:
        network: The arguments of ``nets.build``, with ``weights``.

    Example:
        >>> described({"name": "resnet18", "weights": "my/folder/best.safetensors"})
        {'name': 'resnet18', 'weights': 'best.safetensors'}
    """
    files = {} if network["weights"] in (None, *PUBLISHED) else {"weights": network["weights"]}
    files |= {"name": network["name"]} if "code_digest" in network else {}
    return {**network, **{key: str(file).replace("\\", "/").rsplit("/", 1)[-1] for key, file in files.items()}}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown processor"


def _commit() -> str:
    root = project_root()
    if root is None:
        return "installed package"

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "dmlbook")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"

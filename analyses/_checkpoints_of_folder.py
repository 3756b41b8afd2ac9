"""Checkpoints in a folder of folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conceptscope.analyses._checkpoints_by_step import by_step, says_step

_CONFIG = "config.json"
_REMEDY = "rename or move folders, or give a mapping from steps to folders"


def folders_by_step(folder: Path) -> dict[int, tuple[Path, dict[str, Any]]]:
    """For each step its folder and its config.

    Folders that hold neither a model nor a step in their name (logs) are left out.

    Raises:
        ValueError: no such folder, one without checkpoints, a folder of a step without a model, a model
            without a step, or two of one step.
    """
    if not folder.is_dir():
        raise ValueError(
            f"there is no folder {str(folder)!r}: check the path, or use 'tinyworld', which is embedded"
        )
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    models = [path.name for path in inside if (path / _CONFIG).is_file()]
    if not models:
        one = "is one model, not a run" if (folder / _CONFIG).is_file() else "holds no checkpoints"
        raise ValueError(
            f"the folder {str(folder)!r} {one}: expected folders such as step100/ in it, each with a "
            f"{_CONFIG} and the weights, as save_pretrained leaves them"
        )
    broken = [path.name for path in inside if path.name not in models and says_step(path.name)]
    if broken:
        raise ValueError(
            f"{broken[0]!r} of {str(folder)!r} is no checkpoint, as it has no {_CONFIG}: save the model "
            "there with save_pretrained, or move the folder away"
        )
    found = by_step(models, repr(str(folder)), _REMEDY)
    return {step: (folder / name, _config(folder / name)) for step, name in found.items()}


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{folder / _CONFIG} is not JSON ({error}): save the model anew") from error
    if not isinstance(config, dict):
        raise ValueError(f"{folder / _CONFIG} holds no settings of a model: save the model anew")
    return config

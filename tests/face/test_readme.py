"""The README's example runs as it is written."""

import re
from pathlib import Path

import torch

README = Path(__file__).parents[2] / "README.md"


def test_the_one_screen_example_runs_as_written() -> None:
    (example,) = re.findall(r"```python\n(import conceptscope as cs\n.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, str(README), "exec"), names)
    concept, acts = names["concept"], names["acts"]
    readings = concept.read(acts[concept.site])  # type: ignore[attr-defined,index]
    assert readings.shape == (len(names["data"]), 1)  # type: ignore[arg-type]
    positive = torch.tensor([label == concept.classes[-1] for label in acts.labels])  # type: ignore[attr-defined]
    assert ((readings[:, 0] > 0) == positive).float().mean() > 0.9

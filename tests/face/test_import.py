import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import conceptscope as cs

HEAVY = ("torch", "transformers", "transformer_lens", "numpy", "pandas", "matplotlib", "sklearn")


def loaded_after(statement: str) -> set[str]:
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["conceptscope", "conceptscope._cli"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    loaded = loaded_after(f"import {module}")
    assert module in loaded
    assert loaded.isdisjoint(HEAVY)


def test_every_name_of_the_stub_is_there() -> None:
    stub = Path(cs.__file__).with_suffix(".pyi")
    nodes = [node for node in ast.parse(stub.read_text()).body if isinstance(node, ast.ImportFrom)]
    names = {alias.asname for node in nodes for alias in node.names}
    assert names <= set(dir(cs))
    assert {name for name in names if getattr(cs, str(name), None) is None} == set()


def test_the_names_are_those_of_the_rooms() -> None:
    from conceptscope import hooks, probes

    assert cs.capture is hooks.capture
    assert cs.sweep is probes.sweep
    assert cs.hooks is hooks


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="capturee"):
        _ = cs.capturee  # type: ignore[attr-defined]


def test_version_is_the_installed_one() -> None:
    assert cs.__version__ == version("conceptscope")

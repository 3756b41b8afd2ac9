"""All benchmarks, each in a process of its own, one after the other: `make bench`.

`python benchmarks/run.py capture store` runs those that are named, `--quick` each once, which shows that it
runs and no more. Tables are printed as they come and kept in `build/bench`, a file for each benchmark, with
the versions, the machine and how busy others kept it; `make tables` brings them into the README and the
documentation. A bar that is missed is named at the end, and is no failure; a benchmark that breaks off is.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _machine import Clock, commit, machine
from _tables import KEPT_IN

HERE = Path(__file__).parent
ONE_THREAD, QUICK = ("--threads", "1"), ("--quick",)


@dataclass(frozen=True)
class Benchmark:
    """Its arguments, those of a quick run, and whether it needs the environment of other libraries."""

    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = QUICK
    peers: bool = False


BENCHMARKS = {
    "capture": Benchmark(),
    "generation": Benchmark(),
    "store": Benchmark(),
    "peers": Benchmark(peers=True),
    "sweeping": Benchmark(),
    "interactions": Benchmark(ONE_THREAD),
    "games": Benchmark(ONE_THREAD),
    "latent_players": Benchmark(ONE_THREAD),
    "sparse_interactions": Benchmark(ONE_THREAD, peers=True),
    "convexity": Benchmark(ONE_THREAD),
    "extractors": Benchmark(quick=()),
    "minilm": Benchmark(quick=()),
    "recovery": Benchmark(),
    "steering_matrix": Benchmark(quick=()),
    "tinyworld_bars": Benchmark(quick=()),
    "answer_key": Benchmark(quick=("--texts", "10")),
    "convexity_nouns": Benchmark(),
    "geometry": Benchmark(quick=()),
    "nuclei": Benchmark(),
    "dynamics": Benchmark(quick=()),
    "hidden": Benchmark(),
    "shapes": Benchmark(),
    "gpu": Benchmark(),
}


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("names", nargs="*", help=f"by default all but gpu: {', '.join(BENCHMARKS)}")
    made.add_argument("--quick", action="store_true", help="one round or seed of each")
    made.add_argument("--peers", default=".venv-peers/bin/python", help="the Python that has other libraries")
    made.add_argument("--out", type=Path, default=Path("build/bench"), help="the folder for what is found")
    given = made.parse_args()
    names = given.names or [name for name in BENCHMARKS if name != "gpu"]
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        made.error(f"no benchmark {unknown[0]!r}: there are {', '.join(BENCHMARKS)}")
    given.out.mkdir(parents=True, exist_ok=True)
    runs = [run(name, given) for name in names]
    for name, found in zip(names, runs, strict=True):
        for what in missed(found) if found else ["broke off, see above"]:
            print(f"{name}: {what}")
    sys.exit(int(None in runs))


def run(name: str, given: argparse.Namespace) -> dict[str, Any] | None:
    """What a benchmark found, which is written too; None where it broke off."""
    one = BENCHMARKS[name]
    extra = one.quick if given.quick else ()
    python = given.peers if one.peers else sys.executable
    print(f"\n== {name}", flush=True)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "tables.jsonl"
        command = [python, str(HERE / f"{name}.py"), *one.arguments, *extra]
        try:
            code = subprocess.run(command, env={**os.environ, KEPT_IN: str(kept)}).returncode
        except FileNotFoundError:
            print(f"no {python}: make bench installs it, with the libraries that ours is held against")
            return None
        tables = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    if code or not tables:
        return None
    found = {
        "benchmark": name,
        "command": " ".join(["python", f"benchmarks/{name}.py", *one.arguments, *extra]),
        "quick": given.quick,
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "machine": machine(),
        "versions": {k: v for table in tables for k, v in table.pop("versions").items()},
        "seconds": round(clock.wall()),
        "busy_with_others": round(clock.others(), 2),
        "tables": tables,
    }
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    (given.out / f"{name}.json").write_text(text, encoding="utf-8")
    return found


def missed(found: dict[str, Any]) -> list[str]:
    """The rows whose bar is not met."""
    rows = (row for table in found["tables"] for row in table["rows"])
    return [
        f"missed: {', '.join(filter(None, row))}" for row in rows if any("missed" in cell for cell in row)
    ]


if __name__ == "__main__":
    main()

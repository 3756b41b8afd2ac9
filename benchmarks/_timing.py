"""What the benchmarks share: models, texts with an exact number of tokens, paired timings, one table."""

import argparse
import contextlib
import copy
import gc
import io
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from _machine import Clock
from _tables import VERDICTS, show
from rich.table import Table
from tokenizers import Tokenizer, models, pre_tokenizers

from conceptscope.hooks import HookedModel, load_model

SIZES = {"42M": {"n_embd": 512, "n_head": 8}, "tiny": {"n_embd": 64, "n_head": 4}}
N_LAYERS, VOCABULARY, CONTEXT = 12, 8192, 1024
SPECIAL = ("<pad>", "<unk>")

Inputs = dict[str, torch.Tensor]
Run = Callable[[], object]


def parser(description: str) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--threads", type=int, default=2, help="torch threads (default 2)")
    found.add_argument("--texts", type=int, default=512, help="ragged texts (default 512)")
    found.add_argument("--quick", action="store_true", help="one round of each: whether it runs, no more")
    return found


def arguments(made: argparse.ArgumentParser) -> argparse.Namespace:
    given = made.parse_args()
    torch.set_num_threads(given.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return given


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """A word is a token; without an end-of-text token, so that every generation has the length asked for."""
    words = {
        word: i for i, word in enumerate((*SPECIAL, *(f"w{i}" for i in range(len(SPECIAL), VOCABULARY))))
    }
    raw = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", unk_token="<unk>")


def make_model(size: str) -> HookedModel:
    """GPT-2 with random weights: 42M parameters, or 12 layers of width 64."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        **SIZES[size],
        n_layer=N_LAYERS,
        vocab_size=VOCABULARY,
        n_positions=CONTEXT,
        bos_token_id=None,
        eos_token_id=None,
    )
    return load_model(transformers.GPT2LMHeadModel(config).eval(), tokenizer=tokenizer())


def texts(n: int, low: int, high: int, seed: int = 0) -> list[str]:
    """Random words; the numbers of tokens are uniform from low to high, both included."""
    drawn = random.Random(seed)
    lengths = [drawn.randint(low, high) for _ in range(n)]
    return [
        " ".join(f"w{drawn.randrange(len(SPECIAL), VOCABULARY)}" for _ in range(length)) for length in lengths
    ]


def contrast_pairs(n: int) -> list[str]:
    """Texts of 17-40 tokens, of which each two differ in their last 1-4."""
    stems = texts(n, 16, 36, seed=2)
    return [f"{stem} {end}" for at, stem in enumerate(stems) for end in texts(2, 1, 4, seed=3 + at)]


def padded(model: HookedModel, given: Sequence[str], batch_size: int = 32) -> list[Inputs]:
    """Batches in the order given, each padded on the right to its longest text."""
    encode, made = model.tokenizer, []
    for start in range(0, len(given), batch_size):
        batch = encode(
            list(given[start : start + batch_size]), padding=True, padding_side="right", return_tensors="pt"
        )
        made.append({name: batch[name] for name in ("input_ids", "attention_mask")})
    return made


def bare(model: HookedModel, batches: Sequence[Inputs]) -> Run:
    """Forwards of the Hugging Face model, tokenized beforehand: the floor."""

    def run() -> None:
        with torch.inference_mode():
            for batch in batches:
                model.hf(**batch)

    return run


def make_bridge(model: HookedModel) -> Any:
    """A TransformerBridge of a copy; it wants a tokenizer that has a name."""
    from transformer_lens.model_bridge import TransformerBridge

    with tempfile.TemporaryDirectory() as folder:
        model.hf.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        named = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
        hf = copy.deepcopy(model.hf)
        with contextlib.redirect_stdout(io.StringIO()):
            return TransformerBridge.boot_transformers(folder, hf_model=hf, tokenizer=named, device="cpu")


def one_at_a_time(model: HookedModel, given: Sequence[str]) -> torch.Tensor:
    """Every block's output at the last token, [layer, text, d], read by plain hooks, one text at a time."""
    seen: list[torch.Tensor] = []
    handles = [
        block.register_forward_hook(
            lambda module, args, output: seen.append(
                (output if torch.is_tensor(output) else output[0])[0, -1]
            )
        )
        for block in model.hf.transformer.h
    ]
    try:
        bare(model, padded(model, given, batch_size=1))()
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(seen).unflatten(0, (len(given), N_LAYERS)).transpose(0, 1).clone()


def error(found: torch.Tensor, true: torch.Tensor) -> float:
    """The largest distance between rows, relative to the norm of the true one."""
    return float(((found - true).norm(dim=-1) / true.norm(dim=-1)).max())


@dataclass(frozen=True)
class Ratio:
    """Medians over the rounds of what one candidate takes over what another takes in the same round."""

    wall: float
    cpu: float
    low: float
    high: float
    rounds: int


@dataclass(frozen=True)
class Times:
    """Seconds of wall time and of CPU time for each candidate, round by round."""

    taken: dict[str, list[tuple[float, float]]]

    def ratio(self, name: str, floor: str) -> Ratio:
        pairs = list(zip(self.taken[name], self.taken[floor], strict=True))
        walls, cpus = ([a[kind] / b[kind] for a, b in pairs] for kind in (0, 1))
        return Ratio(statistics.median(walls), statistics.median(cpus), min(walls), max(walls), len(pairs))


@dataclass(frozen=True)
class Bench:
    """Times candidates in turn, round after round, until so many seconds are spent."""

    quick: bool = False
    most: int = 51

    def __call__(self, runs: Mapping[str, Run], seconds: float) -> Times:
        """The times of each candidate, after one warm-up of each."""
        for run in runs.values():
            run()
        return self.warm(runs, seconds)

    def warm(self, runs: Mapping[str, Run], seconds: float) -> Times:
        """The same for candidates that have run already; every round goes in the opposite order."""
        times = Times({name: [] for name in runs})
        begun, order, rounds = time.perf_counter(), list(runs), 0
        while rounds == 0 or self._goes_on(rounds, time.perf_counter() - begun, seconds):
            for name in order:
                times.taken[name].append(measured(runs[name])[0])
            order.reverse()
            rounds += 1
        return times

    def _goes_on(self, rounds: int, spent: float, seconds: float) -> bool:
        return not self.quick and rounds < self.most and spent < seconds


def measured(run: Run) -> tuple[tuple[float, float], object]:
    """Seconds of wall time and of CPU time, and what came out."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    return (time.perf_counter() - wall, time.process_time() - cpu), result


class Report:
    """A table of ratios, printed at the end, with bars or, to compare libraries, with other columns."""

    def __init__(self, title: str, threads: int, columns: Sequence[str] = ("bar", "verdict")) -> None:
        self._threads = threads
        self._clock = Clock()
        self._table = Table("what", "ratio", "cpu", "range", "rounds", *columns, title=title)
        for column in self._table.columns[1:]:
            column.justify = "right"

    def row(self, what: str, found: Ratio, *others: str) -> None:
        """The ratio is of wall time; that of CPU time stands beside it where it differs by .02 or more."""
        cpu = f"{found.cpu:.2f}" if abs(found.cpu - found.wall) >= 0.02 else ""
        spread = f"{found.low:.2f}-{found.high:.2f}"
        self._table.add_row(what, f"{found.wall:.3f}", cpu, spread, str(found.rounds), *others)

    def held(self, what: str, found: Ratio, bar: float, *others: str) -> None:
        """A row whose ratio has a bar."""
        self.row(what, found, f"{bar:.3g}", VERDICTS[found.wall <= bar], *others)

    def faster(self, what: str, found: Ratio, bar: float) -> None:
        """A row that says how many times faster ours is, which must be at least so many."""
        self.row(what, found, f">= {bar:g}", VERDICTS[found.wall >= bar])

    def section(self) -> None:
        self._table.add_section()

    def print(self, *notes: str) -> None:
        others = self._clock.others()
        busy = f"others kept {others:.2f} cores busy{': the machine was not quiet' * (others > 0.1)}"
        show(self._table, *notes, f"{self._clock.wall():.0f} s; torch threads: {self._threads}; {busy}")


def most_resident() -> int:
    """The largest resident size of this process, in bytes.

    Not ru_maxrss: Linux hands that of the parent on to a process it starts.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024

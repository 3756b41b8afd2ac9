"""A model of 7B parameters in bf16 on a GPU: `make bench-gpu`.

What capture, steering, sweeps, interactions and convexity take there over bare forwards of the same texts, in
time and in peak memory, the weights included. The model is a Llama of random weights. Without a GPU it stops;
`--device cpu --size tiny --quick` shows that it runs and no more.
"""

from dataclasses import dataclass

import torch
import transformers
from _timing import (
    CONTEXT,
    VOCABULARY,
    Bench,
    Inputs,
    Report,
    Run,
    arguments,
    bare,
    error,
    padded,
    parser,
    texts,
    tokenizer,
)

from conceptscope.analyses import LogOdds, convexity, interactions
from conceptscope.hooks import Examples, HookedModel, capture, generate, intervene, load_model
from conceptscope.probes import Logistic, MeanDifference, sweep

SHAPE = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
SIZES = {"7B": (4096, 11008, 32, 32), "tiny": (64, 128, 4, 4)}
N_PLAYERS, N_CLASSES, SECONDS = 12, 10, 20


def main() -> None:
    made = parser(__doc__ or "")
    made.add_argument("--device", default="cuda", help="where it runs (default cuda)")
    made.add_argument("--size", choices=SIZES, default="7B")
    given = arguments(made)
    if given.device != "cpu" and not torch.cuda.is_available():
        raise SystemExit("torch sees no GPU here; --device cpu --size tiny --quick shows that this runs")
    model = make_model(given.size, given.device)
    about = torch.cuda.get_device_name() if given.device != "cpu" else "no GPU"
    report = Report(f"{given.size} in bf16 on {about}", given.threads, ("peak memory over the floor's",))
    measure = Measure(Bench(given.quick), report, on_gpu=given.device != "cpu")
    check(model)
    for part in (captures, generation, sweeps, words, regions):
        part(model, measure, given.texts)
    report.print(
        "The floor: model.hf(input_ids, attention_mask) under inference_mode, tokenized beforehand, 32 a "
        "batch, of the texts that the row names; for generate, the same without an intervention."
    )


@dataclass(frozen=True)
class Measure:
    """Adds a row: the time over the floor's, and the peak of GPU memory over the floor's."""

    bench: Bench
    report: Report
    on_gpu: bool

    def __call__(self, what: str, ours: Run, floor: Run) -> None:
        runs = {"ours": self.finished(ours), "floor": self.finished(floor)}
        found = self.bench(runs, SECONDS).ratio("ours", "floor")
        self.report.row(what, found, f"{self.peak(ours) / self.peak(floor):.2f}" if self.on_gpu else "")

    def finished(self, run: Run) -> Run:
        """Kernels are queued: a run is over when the last has been."""

        def whole() -> None:
            run()
            if self.on_gpu:
                torch.cuda.synchronize()

        return whole

    def peak(self, run: Run) -> int:
        torch.cuda.reset_peak_memory_stats()
        run()
        return torch.cuda.max_memory_allocated()


def make_model(size: str, device: str) -> HookedModel:
    config = transformers.LlamaConfig(
        **dict(zip(SHAPE, SIZES[size], strict=True)),
        vocab_size=VOCABULARY,
        max_position_embeddings=CONTEXT,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    with torch.device(device):
        hf = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    return load_model(hf.eval(), tokenizer=tokenizer())


def check(model: HookedModel) -> None:
    """Refuse to time what is wrong: beside the states that the model itself gives, text by text."""
    given = texts(16, 17, 36, seed=1)
    found = capture(model, given, "resid_post.0", batch_size=1).at("resid_post.0")
    with torch.inference_mode():
        states = [
            model.hf(**batch, output_hidden_states=True).hidden_states[1][0, -1]
            for batch in on_device(model, padded(model, given, 1))
        ]
    worst = error(found.float().cpu(), torch.stack(states).float().cpu())
    if worst > 1e-3:
        raise SystemExit(f"capture is wrong by {worst:.1e}: there is nothing to time")


def on_device(model: HookedModel, made: list[Inputs]) -> list[Inputs]:
    return [{name: tensor.to(model.hf.device) for name, tensor in batch.items()} for batch in made]


def forwards(model: HookedModel, given: list[str]) -> Run:
    return bare(model, on_device(model, padded(model, given)))


def captures(model: HookedModel, measure: Measure, n: int) -> None:
    given, even = texts(n, 17, 36), texts(32, 128, 128)
    floor = forwards(model, given)
    measure(
        f"capture: all resid_post, last position, {n} texts of 17-36 tokens",
        lambda: capture(model, given, batch_size=32),
        floor,
    )
    measure("the same, layer 0", lambda: capture(model, given, "resid_post.0", batch_size=32), floor)
    measure(
        "capture: all resid_post, every position, 32 texts of 128 tokens",
        lambda: capture(model, even, position="all", batch_size=32),
        forwards(model, even),
    )


def generation(model: HookedModel, measure: Measure, n: int) -> None:
    given = texts(8, 8, 24)
    site = f"resid_post.{model.n_layers // 2}"
    concept = MeanDifference().fit(capture(model, labelled(64, 2), site))

    def steered() -> list[str]:
        with intervene(model, concept.add(2.0)):
            return generate(model, given, max_new_tokens=40)

    measure(
        "generate: 40 tokens, 8 prompts, steered", steered, lambda: generate(model, given, max_new_tokens=40)
    )


def labelled(n: int, classes: int) -> Examples:
    return Examples(texts(n, 17, 36, seed=3), [f"class {i % classes}" for i in range(n)])


def sweeps(model: HookedModel, measure: Measure, n: int) -> None:
    data = labelled(n, 2)
    acts, floor = capture(model, data, batch_size=32), forwards(model, list(data.texts))
    for extractor in (MeanDifference(), Logistic()):
        what = (
            f"sweep of {type(extractor).__name__}: all layers, 5 folds, controls, {n} texts of 17-36 tokens"
        )
        measure(what, lambda extractor=extractor: sweep(acts, extractor), floor)


def words(model: HookedModel, measure: Measure, n: int) -> None:
    """All 2^12 masked texts; the floor has them in batches of 256 from embeddings made beforehand."""
    (text,) = texts(1, 32, 32)
    offsets = model.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    spans = [offsets[round(31 * i / (N_PLAYERS - 1))] for i in range(N_PLAYERS)]
    what = f"interactions: {N_PLAYERS} words of 32, over {2**N_PLAYERS} forwards in batches of 256"
    measure(what, lambda: interactions(model, text, LogOdds("w7"), players=spans, noise=False), masked(model))


def masked(model: HookedModel) -> Run:
    width = model.hf.config.hidden_size
    batch = torch.zeros(256, 32, width, dtype=torch.bfloat16, device=model.hf.device)

    def run() -> None:
        with torch.inference_mode():
            for _ in range(2**N_PLAYERS // len(batch)):
                model.hf(inputs_embeds=batch, use_cache=False, logits_to_keep=1)

    return run


def regions(model: HookedModel, measure: Measure, n: int) -> None:
    data = labelled(n, N_CLASSES)
    acts = capture(model, data, f"resid_post.{model.n_layers // 2}", batch_size=32)
    measure(
        f"convexity: one layer, {N_CLASSES} classes, {n} texts of 17-36 tokens",
        lambda: convexity(acts, null=None, ci=None),
        forwards(model, list(data.texts)),
    )


if __name__ == "__main__":
    main()

"""What capture costs, over bare forwards of the same texts: `python benchmarks/capture.py [--quick]`."""

import contextlib

import torch
from _timing import (
    N_LAYERS,
    VOCABULARY,
    Bench,
    Inputs,
    Report,
    Run,
    arguments,
    bare,
    error,
    make_bridge,
    make_model,
    one_at_a_time,
    padded,
    parser,
    texts,
)

from conceptscope.hooks import HookedModel, capture
from conceptscope.hooks._batches import batches, pad
from conceptscope.hooks._prompts import encode

RAGGED = {"42M": 0.75, "tiny": 0.65}
SHAPES = {(8, 128): 1.03, (1, 1024): 1.03}
LONG = 0.60
SLACK = 0.08
SINGLE = (0, 2, 5, 8, 11)


def main() -> None:
    given = arguments(parser("What capture costs, over bare Hugging Face forwards."))
    bench = Bench(given.quick)
    report = Report("capture / bare forwards, GPT-2 with random weights, float32", given.threads)
    models = {size: make_model(size) for size in RAGGED}
    for size, model in models.items():
        check(model)
        ragged(size, model, bench, report, given.texts)
        report.section()
    for (rows, columns), bar in SHAPES.items():
        fixed(models["42M"], bench, report, rows, columns, bar)
    report.section()
    single(models["42M"], bench, report)
    report.section()
    long(models, bench, report, given.texts)
    report.print(
        "Floor: model.hf(input_ids, attention_mask) under inference_mode, tokenized beforehand; ragged texts "
        "in the order given, 32 a batch, each batch padded to its longest.",
        "capture: from texts to Activations, tokenization included (a word is a token here, which is quicker "
        f"than BPE). It leaves out the unembedding to {VOCABULARY} words, which the floor has.",
    )


def check(model: HookedModel) -> None:
    """Refuse to time what is wrong."""
    given = texts(40, 8, 64, seed=1)
    found = torch.stack(list(capture(model, given, batch_size=16).values()))
    worst = error(found, one_at_a_time(model, given))
    if worst > 1e-4:
        raise SystemExit(f"capture is wrong by {worst:.1e} in {model}: there is nothing to time")


def ragged(size: str, model: HookedModel, bench: Bench, report: Report, n: int) -> None:
    given = texts(n, 17, 36)
    runs: dict[str, Run] = {
        "bare": bare(model, padded(model, given)),
        "ours": lambda: capture(model, given, batch_size=32),
        "default": lambda: capture(model, given),
        "body": bodies(model, padded(model, given)),
        "least": bodies(model, by_length(model, given)),
    }
    if size == "42M":
        del runs["default"], runs["body"], runs["least"]
    times = bench(runs, 45 if size == "42M" else 15)
    what = f"{size}: all resid_post, last position, {n} texts of 17-36 tokens"
    report.held(f"{what}, batch 32", times.ratio("ours", "bare"), RAGGED[size])
    if "body" in runs:
        report.row("  with batch_size=None", times.ratio("default", "bare"))
        report.row("  ours / forwards of the body, without the unembedding", times.ratio("ours", "body"))
        report.row("  ours / these in batches by length", times.ratio("ours", "least"))


def by_length(model: HookedModel, given: list[str]) -> list[Inputs]:
    """The batches that capture makes."""
    prompts = encode(model, given)
    return [pad(model, [prompts[i] for i in rows]).inputs for rows in batches(prompts, 32)]


def bodies(model: HookedModel, made: list[Inputs]) -> Run:
    """Forwards without unembedding and without a cache, which is what capture runs."""

    def run() -> None:
        with torch.inference_mode():
            for batch in made:
                model.body(**batch, use_cache=False)

    return run


def fixed(model: HookedModel, bench: Bench, report: Report, rows: int, columns: int, bar: float) -> None:
    given = texts(rows, columns, columns)
    (batch,) = padded(model, given)
    runs: dict[str, Run] = {
        "bare": bare(model, [batch]),
        "last": lambda: capture(model, given, batch_size=rows),
        "all": lambda: capture(model, given, position="all", batch_size=rows),
    }
    with contextlib.suppress(ImportError):
        runs["lens"] = run_with_cache(model, batch)
    times = bench(runs, 15)
    what = f"42M: all resid_post, {rows}x{columns}"
    report.held(f"{what}, last position", times.ratio("last", "bare"), bar)
    report.held(f"{what}, every position", times.ratio("all", "bare"), bar)
    if "lens" in runs:
        report.row("  TransformerLens's run_with_cache of resid_post", times.ratio("lens", "bare"))


def run_with_cache(model: HookedModel, batch: Inputs) -> Run:
    """TransformerLens on a copy, under inference_mode, with only resid_post kept."""
    bridge = make_bridge(model)

    def run() -> None:
        with torch.inference_mode():
            bridge.run_with_cache(
                batch["input_ids"],
                attention_mask=batch["attention_mask"],
                names_filter=lambda name: name.endswith("hook_resid_post"),
            )

    return run


def single(model: HookedModel, bench: Bench, report: Report) -> None:
    """Texts of one length, so that nothing is gained by sorting them."""
    given = texts(8, 128, 128)
    runs: dict[str, Run] = {"bare": bare(model, padded(model, given))}
    for layer in SINGLE:
        runs[str(layer)] = lambda site=f"resid_post.{layer}": capture(model, given, site, batch_size=8)
    times = bench(runs, 15)
    for layer in SINGLE:
        bar = (layer + 1) / N_LAYERS + SLACK
        what = f"42M: resid_post.{layer} alone of {N_LAYERS} layers, 8x128, last position"
        report.held(what, times.ratio(str(layer), "bare"), bar)


def long(models: dict[str, HookedModel], bench: Bench, report: Report, n: int) -> None:
    for size, model in models.items():
        given = texts(n, 8, 256)
        runs: dict[str, Run] = {
            "bare": bare(model, padded(model, given)),
            "ours": lambda model=model, given=given: capture(model, given, batch_size=32),
        }
        # A pass over these takes minutes: a warm-up on some of them must do.
        bare(model, padded(model, given[:8]))()
        capture(model, given[:8], batch_size=32)
        found = bench.warm(runs, 10).ratio("ours", "bare")
        what = f"{size}: all resid_post, last position, {n} texts of 8-256 tokens, batch 32"
        report.held(what, found, LONG)


if __name__ == "__main__":
    main()

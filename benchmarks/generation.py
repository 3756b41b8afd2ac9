"""What steering costs while generating: `python benchmarks/generation.py [--quick]`."""

import torch
from _timing import SIZES, Bench, Report, Run, arguments, make_model, parser, texts

from conceptscope.hooks import Examples, HookedModel, capture, generate, intervene
from conceptscope.probes import Concept, MeanDifference

BAR = 1.03
LAYER = 6
N_TOKENS = 40


def main() -> None:
    given = arguments(parser("What steering costs, over unsteered generation."))
    bench = Bench(given.quick)
    report = Report(f"steered generation of {N_TOKENS} tokens, GPT-2 with random weights", given.threads)
    for size in SIZES:
        model = make_model(size)
        concept = direction(model)
        for prompts in (texts(1, 16, 16), texts(8, 8, 24)):
            runs = candidates(model, concept, prompts)
            check(model, runs)
            times = bench(runs, 40)
            what = f"{size}, {len(prompts)} prompt{'s' if len(prompts) > 1 else ''}: ours steered"
            report.held(f"{what} / ours unsteered", times.ratio("steered", "unsteered"), BAR)
            report.row("  ours steered / hf.generate", times.ratio("steered", "plain"))
            report.row("  hf.generate with a raw hook / hf.generate", times.ratio("raw", "plain"))
        report.section()
    report.print(
        f"Steered: intervene(model, concept.add(2.0)) at resid_post.{LAYER}, at every token of the prompt "
        "and after it, entered anew each time. 8 prompts have 8-24 tokens.",
        "hf.generate: greedy, the same left-padded ids, tokenized beforehand and not decoded; ours tokenizes "
        "and decodes.",
    )


def direction(model: HookedModel) -> Concept:
    given = Examples(texts(64, 8, 16, seed=2), ["one", "other"] * 32)
    return MeanDifference().fit(capture(model, given, f"resid_post.{LAYER}"))


def candidates(model: HookedModel, concept: Concept, prompts: list[str]) -> dict[str, Run]:
    batch = model.tokenizer(prompts, padding=True, padding_side="left", return_tensors="pt")
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    vector = 2 * concept.vector

    def add(module: torch.nn.Module, args: object, output: torch.Tensor) -> torch.Tensor:
        return output + vector

    def steered() -> list[str]:
        with intervene(model, concept.add(2.0)):
            return generate(model, prompts, max_new_tokens=N_TOKENS)

    def plain() -> torch.Tensor:
        with torch.inference_mode():
            made = model.hf.generate(**inputs, max_new_tokens=N_TOKENS, do_sample=False, pad_token_id=0)
        return made[:, batch["input_ids"].shape[1] :]

    def raw() -> torch.Tensor:
        handle = model.hf.transformer.h[LAYER].register_forward_hook(add)
        try:
            return plain()
        finally:
            handle.remove()

    return {
        "unsteered": lambda: generate(model, prompts, max_new_tokens=N_TOKENS),
        "steered": steered,
        "plain": plain,
        "raw": raw,
    }


def check(model: HookedModel, runs: dict[str, Run]) -> None:
    """Refuse to time what is wrong: ours must say what hf.generate says, and steer as a raw hook does."""
    said = {name: run() for name, run in runs.items()}
    for ours, theirs in (("unsteered", "plain"), ("steered", "raw")):
        if [text.split() for text in said[ours]] != [model.tokenizer.decode(t).split() for t in said[theirs]]:
            raise SystemExit(f"{ours} generation differs from {theirs} on {model}: there is nothing to time")
    if said["steered"] == said["unsteered"]:
        raise SystemExit(f"steering changes nothing on {model}: there is nothing to time")


if __name__ == "__main__":
    main()

"""`conceptscope steer`: a prompt's continuations without and with a concept, side by side."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from conceptscope._console import console, printable, working
from conceptscope.hooks import HookedModel, generate, intervene, load_model
from conceptscope.probes import Concept


def run_steer(
    source: str, path: Path, strength: float, prompt: str, tokens: int, towards: str | None, force: bool
) -> None:
    """Load, continue the prompt twice, print."""
    concept = direction(Concept.load(path), towards)
    with working(f"Loading {source}"):
        model = load_model(source)
    if not force:
        check_model(concept, model)
    with working(f"Writing {tokens} tokens, twice"):
        [plain] = generate(model, [prompt], max_new_tokens=tokens)
        with intervene(model, concept.add(strength, force=force)):
            [steered] = generate(model, [prompt], max_new_tokens=tokens)
    aim = f" of {concept.classes[-1]!r}" if concept.classes else ""
    table = Table(expand=True)
    table.add_column("unsteered", ratio=1)
    table.add_column(Text(f"{strength:+g} sd{aim} at {concept.site}"), ratio=1)
    table.add_row(continued(prompt, plain), continued(prompt, steered))
    console.print(table)


def direction(concept: Concept, towards: str | None) -> Concept:
    """The direction towards one class.

    Raises:
        KeyError: no such class.
        ValueError: many classes, and none was named.
    """
    if towards is not None:
        return concept[next((label for label in concept.classes if str(label) == towards), towards)]
    if concept.k > 1:
        raise ValueError(
            f"the concept has the classes {', '.join(map(str, concept.classes))}: say --towards one"
        )
    return concept


def check_model(concept: Concept, model: HookedModel) -> None:
    """Refuse a concept of another model.

    Raises:
        ValueError: the concept was found in another model.
    """
    if concept.model_name not in ("", model.name):
        raise ValueError(
            f"the concept was found in {concept.model_name!r}, not in {model.name!r}: "
            "--force says that this is meant"
        )


def continued(prompt: str, continuation: str) -> Text:
    """A prompt, dimmed, and how it goes on."""
    return Text(printable(prompt), style="dim") + Text(printable(continuation))

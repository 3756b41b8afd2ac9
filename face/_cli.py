"""The command line: what each command takes; the work is in a file for each, imported when it is called."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from conceptscope._console import quiet
from conceptscope._options import (
    Data,
    Directions,
    Extractor,
    ExtractorName,
    Folds,
    Force,
    GroupColumn,
    LabelColumn,
    Model,
    Position,
    SavedConcept,
    Sites,
    Strengths,
    TextColumn,
    Tokens,
    Towards,
    in_columns,
    in_method,
    in_reading,
    in_steering,
    random_directions,
    token_position,
)
from conceptscope._plain_errors import PlainErrors
from conceptscope._typed_numbers import real, whole

in_explained = partial(typer.Option, rich_help_panel="What is explained")
in_numbers = partial(typer.Option, rich_help_panel="Numbers")

app = typer.Typer(
    name="conceptscope",
    cls=PlainErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: conceptscope tour",
)


class ReportExtractorName(StrEnum):
    """The extractors of a report: those for classes, and one for numbers."""

    mean_difference = "mean-difference"
    logistic = "logistic"
    linear_discriminant = "linear-discriminant"
    leace = "leace"
    ridge = "ridge"


class ReadFrom(StrEnum):
    """What the command dynamics reads concepts in."""

    activations = "activations"
    outputs = "outputs"


def _version(wanted: bool) -> None:
    if wanted:
        from conceptscope import __version__

        typer.echo(f"conceptscope {__version__}")
        raise typer.Exit


def command(*example: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command, with an example below its help: lines that a shell takes as one."""
    return app.command(epilog="Example:\n" + " \\\n".join(example))


@app.callback()
def conceptscope(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Find the concepts inside pretrained transformers, check them, and act on them."""


@command("conceptscope tour --out tour")
def tour(
    out: Annotated[Path, typer.Option(help="The folder for the pictures.")] = Path("tour"),
) -> None:
    """Show the main job on the embedded model: find a concept, check it, steer along it (under a minute)."""
    from conceptscope._tour import run_tour

    run_tour(out)


@command("conceptscope sites --model tinyworld")
def sites(model: Model) -> None:
    """List the sites of a model: the places where its activations can be read and changed."""
    from conceptscope._sites_command import run_sites

    run_sites(model)


@command("conceptscope sweep --model tinyworld --data tinyworld/sentiment --out found")
def sweep(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder for sweep.csv, sweep.png and concepts/.")],
    text: TextColumn = "text",
    label: LabelColumn = "label",
    group: GroupColumn = None,
    sites: Sites = "resid_post",
    position: Position = "last",
    folds: Folds = 5,
    extractor: Extractor = ExtractorName.mean_difference,
) -> None:
    """Find which sites hold a concept, on held-out data with controls, and save the concepts."""
    from conceptscope._sweep_command import Columns, run_sweep

    columns = Columns(text, label, group)
    run_sweep(model, data, out, columns, sites.split(","), position, folds, extractor.value)


@command("conceptscope capture --model tinyworld --data tinyworld/tense --out acts")
def capture(
    model: Model,
    data: Data,
    out: Annotated[
        Path, typer.Option(help="The folder for the activations; what is there already is not done again.")
    ],
    text: TextColumn = "text",
    label: Annotated[
        str | None, in_columns(help="That of the labels (default: 'label' if it is there).")
    ] = None,
    group: GroupColumn = None,
    sites: Sites = "resid_post",
    position: Annotated[Any, token_position("'last', 'first', 'mean', 'all'")] = "last",
    dtype: Annotated[
        str | None, typer.Option(help="What is written: bf16, fp16 or fp32 (default: the model's own).")
    ] = None,
) -> None:
    """Write the activations of a file, however long, to disk; the same command goes on where it stopped."""
    from conceptscope._capture_command import run_capture
    from conceptscope._sweep_command import Columns

    run_capture(model, data, out, Columns(text, label, group), sites.split(","), position, dtype)


@command(
    "conceptscope steer --model tinyworld --concept",
    "found/concepts/resid_post.2.safetensors --strength 2 'the dog was'",
)
def steer(
    prompt: Annotated[str, typer.Argument(help="The text to go on from.")],
    model: Model,
    concept: SavedConcept,
    strength: Annotated[
        float,
        in_steering(parser=real(), help="How far to move the reading, in standard deviations."),
    ],
    towards: Towards = None,
    tokens: Tokens = 40,
    force: Force = False,
) -> None:
    """Continue a prompt without and with a concept added, side by side."""
    from conceptscope._steer_command import run_steer

    run_steer(model, concept, strength, prompt, tokens, towards, force)


@command(
    "conceptscope dose --model tinyworld --concept",
    "found/concepts/resid_post.2.safetensors --prompts prompts.txt --out dose",
)
def dose(
    model: Model,
    concept: SavedConcept,
    prompts: Annotated[Path, typer.Option(help="A text file with a prompt on each line.")],
    out: Annotated[Path, typer.Option(help="The folder for dose.csv, dose.png and texts.csv.")],
    measure: Annotated[
        str | None,
        typer.Option(
            help="The effect: tokens with commas between, a saved concept of a later layer, or a .csv or "
            ".jsonl file of texts with two labels (default: the tokens that the concept raises most)."
        ),
    ] = None,
    kl: Annotated[
        float, typer.Option(parser=real(), help="The harm allowed to the best dose, in nats a token.")
    ] = 0.5,
    strengths: Strengths = "0,1,2,3,4",
    towards: Towards = None,
    tokens: Tokens = 20,
    directions: Directions = 20,
    force: Force = False,
) -> None:
    """Measure what adding a concept does and breaks; the same command goes on where it stopped."""
    from conceptscope._dose_command import Settings, run_dose

    settings = Settings(strengths, measure, towards, tokens, directions, kl, force)
    run_dose(model, concept, prompts, out, settings)


@command("conceptscope interact --model tinyworld --target cried", "'the dog was not happy. it'")
def interact(
    text: Annotated[str, typer.Argument(help="The text whose words are present or absent.")],
    model: Model,
    out: Annotated[
        Path | None, typer.Option(help="A folder for interactions.csv, interactions.png, interactions.html.")
    ] = None,
    target: Annotated[
        str | None, in_explained(help="The next token whose log-odds are explained, such as ' happy'.")
    ] = None,
    versus: Annotated[
        str | None, in_explained(help="Another token: the difference of the two logits is explained.")
    ] = None,
    concept: Annotated[
        Path | None, in_explained(help="Instead of a token, a concept that 'conceptscope sweep' saved.")
    ] = None,
    towards: Annotated[
        str | None, in_explained(help="The class of the concept that is read (default: the last of two).")
    ] = None,
    players: Annotated[
        str, in_method(help="'words', 'tokens', or parts of the text with | between.")
    ] = "words",
    baseline: Annotated[
        str, in_method(help="What stands for an absent word: 'mean', 'learned', 'attention', or a token.")
    ] = "mean",
    method: Annotated[str, in_method(help="'and', 'or', or 'and-or', the sparsest mixture.")] = "and",
) -> None:
    """Show which words together make a model say something, exactly, for up to 20 words."""
    from conceptscope._interact_command import Settings, run_interact

    settings = Settings(target, versus, concept, towards, players, baseline, method)
    run_interact(model, text, out, settings)


@command(
    "conceptscope dynamics --checkpoints tinyworld",
    "--data tinyworld/tense --data tinyworld/truth --out learned",
)
def dynamics(
    checkpoints: Annotated[
        str,
        typer.Option(
            help="A folder of checkpoints, a Hugging Face name whose revisions are steps, or 'tinyworld', "
            "which comes with the package."
        ),
    ],
    data: Annotated[
        list[str],
        typer.Option(
            metavar="<str>",
            help="A concept: a .csv or .jsonl file, or a built-in set such as 'tinyworld/sentiment'. Once "
            "for each.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder for the tables and pictures.")],
    revisions: Annotated[
        str | None,
        typer.Option(help="Some of the hub's revisions, with commas between (default: all steps)."),
    ] = None,
    text: TextColumn = "text",
    label: LabelColumn = "label",
    group: GroupColumn = None,
    of: Annotated[
        ReadFrom,
        in_reading(
            metavar="<name>",
            help="Concepts are read in 'activations', by probes, or in 'outputs', the next token.",
        ),
    ] = ReadFrom.activations,
    site: Annotated[
        str | None,
        in_reading(help="Where probes read, such as resid_post.6 (default: resid_post half-way up)."),
    ] = None,
    position: Position = "last",
    extractor: Extractor = ExtractorName.mean_difference,
    smooth: Annotated[
        float, in_method(parser=real(0), help="Smooth the paths over so many checkpoints to either side.")
    ] = 0.0,
) -> None:
    """Follow concepts through training: which is learned when; the same command goes on where it stopped."""
    from conceptscope._dynamics_command import Settings, run_dynamics
    from conceptscope._sweep_command import Columns

    settings = Settings(of.value, site, position, extractor.value, smooth, revisions)
    run_dynamics(checkpoints, data, out, Columns(text, label, group), settings)


@command("conceptscope convexity --model tinyworld --data tinyworld/colour --out regions")
def convexity(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder for convexity.csv and convexity.png.")],
    text: TextColumn = "text",
    label: LabelColumn = "label",
    group: GroupColumn = None,
    sites: Sites = "resid_post",
    position: Position = "last",
    kind: Annotated[
        str, in_method(help="'graph': shortest paths between neighbours; 'euclidean': straight lines.")
    ] = "graph",
    k: Annotated[int, in_method(parser=whole(1), help="How many neighbours each example is joined to.")] = 10,
    permutations: Annotated[
        int, in_method(parser=whole(0), help="How many shuffles of the labels for p; 0: none.")
    ] = 200,
    workers: Annotated[
        int | None,
        in_method(parser=whole(1), help="How many processes (default: one a core where rows are many)."),
    ] = None,
) -> None:
    """Measure whether classes are convex regions of what a model computes, site by site."""
    from conceptscope._convexity_command import Settings, run_convexity
    from conceptscope._sweep_command import Columns

    settings = Settings(kind, k, permutations, workers)
    run_convexity(model, data, out, Columns(text, label, group), sites.split(","), position, settings)


@command("conceptscope report --model tinyworld --data tinyworld/sentiment")
def report(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(help="The page; the concepts are saved in a folder beside it.")] = Path(
        "report.html"
    ),
    text: TextColumn = "text",
    label: LabelColumn = "label",
    group: GroupColumn = None,
    sites: Sites = "resid_post",
    position: Position = "last",
    extractor: Annotated[
        ReportExtractorName,
        in_method(
            metavar="<name>",
            help=f"How a concept is made: {', '.join(ReportExtractorName)}; the last is for labels that are "
            "numbers.",
        ),
    ] = ReportExtractorName.mean_difference,
    folds: Folds = 5,
    sentences: Annotated[
        int, in_method(parser=whole(0), help="How many texts to take apart into interactions between words.")
    ] = 4,
    at: Annotated[
        str | None,
        in_steering(
            help="The site to steer and to take apart (default: the good one nearest to half-way up)."
        ),
    ] = None,
    towards: Annotated[
        str | None, in_steering(help="The class to move towards (default: the last one).")
    ] = None,
    prompts: Annotated[
        Path | None,
        in_steering(help="A text file with a prompt on each line (default: 12 texts of the data)."),
    ] = None,
    strengths: Strengths = "-3,-2,-1,0,1,2,3",
    tokens: Tokens = 20,
    directions: Annotated[int, random_directions(19)] = 20,
) -> None:
    """Write one page that says where a concept is, how surely, and what steering it does and breaks."""
    from conceptscope._report_command import Settings, run_report
    from conceptscope._sweep_command import Columns

    settings = Settings(
        sites=sites.split(","),
        position=position,
        extractor=extractor.value,
        site=at,
        towards=towards,
        prompts=prompts,
        strengths=strengths,
        tokens=tokens,
        directions=directions,
        folds=folds,
        sentences=sentences,
    )
    run_report(model, data, out, Columns(text, label, group), settings)


@command("conceptscope numbers --model tinyworld --out numbers --sites resid_post.2")
def numbers(
    model: Model,
    out: Annotated[
        Path, typer.Option(help="The folder for numbers.csv, periods.csv, numbers.png and plane.png.")
    ],
    low: Annotated[int, in_numbers(parser=whole(), help="The least number.")] = 0,
    high: Annotated[int, in_numbers(parser=whole(), help="The greatest number.")] = 99,
    text: Annotated[
        list[str] | None,
        in_numbers(
            metavar="<str>", help="A text with {} for the number; once for each (default: five short ones)."
        ),
    ] = None,
    sites: Sites = "resid_post",
    periods: Annotated[str, in_method(help="The periods of the helix, with commas between.")] = "2,5,10,100",
    sums: Annotated[
        str | None,
        in_method(help="Move numbers in sums such as '{a} plus {b} is', and see what the model answers."),
    ] = None,
) -> None:
    """Tell whether a model's numbers lie on a line, a curve or a helix, with controls."""
    from conceptscope._numbers_command import Settings, run_numbers

    run_numbers(model, out, sites.split(","), Settings(low, high, periods, text or (), sums))


def main() -> None:
    """Run the command line."""
    quiet()
    app()

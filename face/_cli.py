"""The command line: what it takes; the work is in a file for each command, imported when it is called."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from conceptscope._console import PlainErrors, quiet

app = typer.Typer(
    cls=PlainErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class ExtractorName(StrEnum):
    """The extractors that the command line offers."""

    mean_difference = "mean-difference"
    logistic = "logistic"
    linear_discriminant = "linear-discriminant"
    leace = "leace"
    principal_direction = "principal-direction"
    contrast_consistent = "contrast-consistent"


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


Model = Annotated[
    str,
    typer.Option(help="A Hugging Face name, a folder, or 'tinyworld', which comes with the package."),
]


def _version(wanted: bool) -> None:
    if wanted:
        from conceptscope import __version__

        typer.echo(f"conceptscope {__version__}")
        raise typer.Exit


@app.callback()
def conceptscope(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find the concepts inside pretrained transformers, check them, and act on them."""


@app.command()
def tour(
    out: Annotated[Path, typer.Option(help="The folder for the pictures.")] = Path("tour"),
) -> None:
    """Show the main job on the embedded model: find a concept, check it, steer along it (under a minute)."""
    from conceptscope._tour import run_tour

    run_tour(out)


@app.command()
def sweep(
    model: Model,
    data: Annotated[str, typer.Option(help="A .csv or .jsonl file, or a built-in set: 'sentiment'.")],
    out: Annotated[Path, typer.Option(help="The folder for sweep.csv, sweep.png and concepts/.")],
    text: Annotated[str, typer.Option(help="The column of the texts.")] = "text",
    label: Annotated[str, typer.Option(help="The column of the labels.")] = "label",
    group: Annotated[
        str | None,
        typer.Option(
            help="The column of the groups, which folds never split (default: 'group' if it is there)."
        ),
    ] = None,
    sites: Annotated[
        str, typer.Option(help="Kinds or sites, with commas between: 'resid_post' is that of every layer.")
    ] = "resid_post",
    position: Annotated[
        str, typer.Option(help="The token to read: 'last', 'first', 'mean', or an index from either end.")
    ] = "last",
    folds: Annotated[int, typer.Option(help="How many folds of held-out data.")] = 5,
    extractor: Annotated[
        ExtractorName, typer.Option(help="How a concept is made; the last two need a column 'pair'.")
    ] = ExtractorName.mean_difference,
) -> None:
    """Find which sites hold a concept, on held-out data with controls, and save the concepts."""
    from conceptscope._sweep_command import Columns, run_sweep

    run_sweep(
        model, data, out, Columns(text, label, group), sites.split(","), position, folds, extractor.value
    )


@app.command()
def capture(
    model: Model,
    data: Annotated[str, typer.Option(help="A .csv or .jsonl file, or a built-in set: 'sentiment'.")],
    out: Annotated[
        Path, typer.Option(help="The folder for the activations; what is there already is not done again.")
    ],
    text: Annotated[str, typer.Option(help="The column of the texts.")] = "text",
    label: Annotated[
        str | None, typer.Option(help="The column of the labels (default: 'label' if it is there).")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="The column of the groups (default: 'group' if it is there).")
    ] = None,
    sites: Annotated[
        str, typer.Option(help="Kinds or sites, with commas between: 'resid_post' is that of every layer.")
    ] = "resid_post",
    position: Annotated[
        str,
        typer.Option(help="The token to read: 'last', 'first', 'mean', 'all', or an index from either end."),
    ] = "last",
    dtype: Annotated[
        str | None, typer.Option(help="What is written: bf16, fp16 or fp32 (default: the model's own).")
    ] = None,
) -> None:
    """Write the activations of a file, however long, to disk; the same command goes on where it stopped."""
    from conceptscope._capture_command import run_capture
    from conceptscope._sweep_command import Columns

    run_capture(model, data, out, Columns(text, label, group), sites.split(","), position, dtype)


@app.command()
def steer(
    prompt: Annotated[str, typer.Argument(help="The text to go on from.")],
    model: Model,
    concept: Annotated[Path, typer.Option(help="A concept that 'conceptscope sweep' saved.")],
    strength: Annotated[float, typer.Option(help="How far to move the reading, in standard deviations.")],
    towards: Annotated[
        str | None, typer.Option(help="The class to move towards (default: the last of two).")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="How many tokens to write.")] = 40,
    force: Annotated[
        bool, typer.Option("--force", help="Use a concept that was found in another model.")
    ] = False,
) -> None:
    """Continue a prompt without and with a concept added, side by side."""
    from conceptscope._steer_command import run_steer

    run_steer(model, concept, strength, prompt, tokens, towards, force)


@app.command()
def dose(
    model: Model,
    concept: Annotated[Path, typer.Option(help="A concept that 'conceptscope sweep' saved.")],
    prompts: Annotated[Path, typer.Option(help="A text file with a prompt on each line.")],
    out: Annotated[Path, typer.Option(help="The folder for dose.csv, dose.png and texts.csv.")],
    strengths: Annotated[
        str, typer.Option(help="In standard deviations, with commas between: '-2,0,2'.")
    ] = "0,1,2,3,4",
    measure: Annotated[
        str | None,
        typer.Option(
            help="The effect: tokens with commas between, a saved concept of a later layer, or a .csv or "
            ".jsonl file of texts with two labels (default: the tokens that the concept raises most)."
        ),
    ] = None,
    towards: Annotated[
        str | None, typer.Option(help="The class to move towards (default: the last of two).")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="How many tokens to write.")] = 20,
    directions: Annotated[int, typer.Option(min=1, help="How many random directions to compare with.")] = 20,
    kl: Annotated[float, typer.Option(help="The harm allowed to the best dose, in nats a token.")] = 0.5,
    force: Annotated[
        bool, typer.Option("--force", help="Use a concept that was found in another model.")
    ] = False,
) -> None:
    """Measure what adding a concept does and breaks; the same command goes on where it stopped."""
    from conceptscope._dose_command import Settings, run_dose

    settings = Settings(strengths, measure, towards, tokens, directions, kl, force)
    run_dose(model, concept, prompts, out, settings)


@app.command()
def interact(
    text: Annotated[str, typer.Argument(help="The text whose words are present or absent.")],
    model: Model,
    target: Annotated[
        str | None, typer.Option(help="The next token whose log-odds are explained: ' happy'.")
    ] = None,
    versus: Annotated[
        str | None, typer.Option(help="Another token: the difference of the two logits is explained.")
    ] = None,
    concept: Annotated[
        Path | None, typer.Option(help="Instead of a token, a concept that 'conceptscope sweep' saved.")
    ] = None,
    towards: Annotated[
        str | None, typer.Option(help="The class of the concept that is read (default: the last of two).")
    ] = None,
    players: Annotated[
        str, typer.Option(help="'words', 'tokens', or parts of the text with | between.")
    ] = "words",
    baseline: Annotated[
        str, typer.Option(help="What stands for an absent word: 'mean', 'learned', 'attention', or a token.")
    ] = "mean",
    method: Annotated[str, typer.Option(help="'and', 'or', or 'and-or', the sparsest mixture.")] = "and",
    out: Annotated[
        Path | None, typer.Option(help="A folder for interactions.csv, interactions.png, interactions.html.")
    ] = None,
) -> None:
    """Show which words together make a model say something, exactly, for up to 20 words."""
    from conceptscope._interact_command import Settings, run_interact

    settings = Settings(target, versus, concept, towards, players, baseline, method)
    run_interact(model, text, out, settings)


@app.command()
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
            help="A concept: a .csv or .jsonl file, or a built-in set: 'tinyworld/tense'. Once for each."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder for the tables and pictures.")],
    of: Annotated[
        ReadFrom, typer.Option(help="What is read: probes in the activations, or the next token.")
    ] = ReadFrom.activations,
    text: Annotated[str, typer.Option(help="The column of the texts.")] = "text",
    label: Annotated[str, typer.Option(help="The column of the labels.")] = "label",
    group: Annotated[
        str | None, typer.Option(help="The column of the groups (default: 'group' if it is there).")
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(help="Where probes read, such as resid_post.6 (default: resid_post half-way up)."),
    ] = None,
    position: Annotated[
        str, typer.Option(help="The token to read: 'last', 'first', 'mean', or an index from either end.")
    ] = "last",
    extractor: Annotated[
        ExtractorName, typer.Option(help="How a concept is made; the last two need a column 'pair'.")
    ] = ExtractorName.mean_difference,
    smooth: Annotated[
        float, typer.Option(min=0, help="Smooth the paths over so many checkpoints to either side.")
    ] = 0.0,
    revisions: Annotated[
        str | None,
        typer.Option(help="Some of the hub's revisions, with commas between (default: all steps)."),
    ] = None,
) -> None:
    """Follow concepts through training: which is learned when; the same command goes on where it stopped."""
    from conceptscope._dynamics_command import Settings, run_dynamics
    from conceptscope._sweep_command import Columns

    settings = Settings(of.value, site, position, extractor.value, smooth, revisions)
    run_dynamics(checkpoints, data, out, Columns(text, label, group), settings)


@app.command()
def convexity(
    model: Model,
    data: Annotated[str, typer.Option(help="A .csv or .jsonl file, or a built-in set: 'sentiment'.")],
    out: Annotated[Path, typer.Option(help="The folder for convexity.csv and convexity.png.")],
    text: Annotated[str, typer.Option(help="The column of the texts.")] = "text",
    label: Annotated[str, typer.Option(help="The column of the labels.")] = "label",
    group: Annotated[
        str | None,
        typer.Option(help="The column of the groups, shuffled as a whole (default: 'group' if it is there)."),
    ] = None,
    sites: Annotated[
        str, typer.Option(help="Kinds or sites, with commas between: 'resid_post' is that of every layer.")
    ] = "resid_post",
    position: Annotated[
        str, typer.Option(help="The token to read: 'last', 'first', 'mean', or an index from either end.")
    ] = "last",
    kind: Annotated[
        str, typer.Option(help="'graph': shortest paths between neighbours; 'euclidean': straight lines.")
    ] = "graph",
    k: Annotated[int, typer.Option(min=1, help="How many neighbours each example is joined to.")] = 10,
    permutations: Annotated[
        int, typer.Option(min=0, help="How many shuffles of the labels for p; 0: none.")
    ] = 200,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many processes (default: one a core where rows are many).")
    ] = None,
) -> None:
    """Measure whether classes are convex regions of what a model computes, site by site."""
    from conceptscope._convexity_command import Settings, run_convexity
    from conceptscope._sweep_command import Columns

    settings = Settings(kind, k, permutations, workers)
    run_convexity(model, data, out, Columns(text, label, group), sites.split(","), position, settings)


@app.command()
def report(
    model: Model,
    data: Annotated[str, typer.Option(help="A .csv or .jsonl file, or a built-in set: 'sentiment'.")],
    out: Annotated[Path, typer.Option(help="The page; the concepts are saved in a folder beside it.")] = Path(
        "report.html"
    ),
    text: Annotated[str, typer.Option(help="The column of the texts.")] = "text",
    label: Annotated[str, typer.Option(help="The column of the labels.")] = "label",
    group: Annotated[
        str | None,
        typer.Option(
            help="The column of the groups, which folds never split (default: 'group' if it is there)."
        ),
    ] = None,
    sites: Annotated[
        str, typer.Option(help="Kinds or sites, with commas between: 'resid_post' is that of every layer.")
    ] = "resid_post",
    position: Annotated[
        str, typer.Option(help="The token to read: 'last', 'first', 'mean', or an index from either end.")
    ] = "last",
    extractor: Annotated[
        ReportExtractorName,
        typer.Option(help="How a concept is made; 'ridge' is for labels that are numbers."),
    ] = ReportExtractorName.mean_difference,
    at: Annotated[
        str | None,
        typer.Option(
            help="The site to steer and to take apart (default: the good one nearest to half-way up)."
        ),
    ] = None,
    towards: Annotated[
        str | None, typer.Option(help="The class to move towards (default: the last one).")
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="A text file with a prompt on each line (default: 12 texts of the data)."),
    ] = None,
    strengths: Annotated[
        str, typer.Option(help="In standard deviations, with commas between: '-2,0,2'.")
    ] = "-3,-2,-1,0,1,2,3",
    tokens: Annotated[int, typer.Option(min=1, help="How many tokens to write.")] = 20,
    directions: Annotated[int, typer.Option(min=19, help="How many random directions to compare with.")] = 20,
    folds: Annotated[int, typer.Option(help="How many folds of held-out data.")] = 5,
    sentences: Annotated[
        int, typer.Option(min=0, help="How many texts to take apart into interactions between words.")
    ] = 4,
) -> None:
    """Write one page that says where a concept is, how surely, and what steering it does and breaks."""
    from conceptscope._report_command import Settings, run_report
    from conceptscope._sweep_command import Columns

    settings = Settings(
        sites.split(","),
        position,
        extractor.value,
        at,
        towards,
        prompts,
        strengths,
        tokens,
        directions,
        folds,
        sentences,
    )
    run_report(model, data, out, Columns(text, label, group), settings)


@app.command()
def numbers(
    model: Model,
    out: Annotated[
        Path, typer.Option(help="The folder for numbers.csv, periods.csv, numbers.png and plane.png.")
    ],
    low: Annotated[int, typer.Option(help="The least number.")] = 0,
    high: Annotated[int, typer.Option(help="The greatest number.")] = 99,
    periods: Annotated[
        str, typer.Option(help="The periods of the helix, with commas between.")
    ] = "2,5,10,100",
    text: Annotated[
        list[str] | None,
        typer.Option(help="A text with {} for the number; once for each (default: five short ones)."),
    ] = None,
    sites: Annotated[
        str, typer.Option(help="Kinds or sites, with commas between: 'resid_post' is that of every layer.")
    ] = "resid_post",
    sums: Annotated[
        str | None,
        typer.Option(help="Move numbers in sums such as '{a} plus {b} is', and see what the model answers."),
    ] = None,
) -> None:
    """Tell whether a model's numbers lie on a line, a curve or a helix, with controls."""
    from conceptscope._numbers_command import Settings, run_numbers

    run_numbers(model, out, sites.split(","), Settings(low, high, periods, text or (), sums))


@app.command()
def sites(model: Model) -> None:
    """List the sites of a model: the places where its activations can be read and changed."""
    from conceptscope._sites_command import run_sites

    run_sites(model)


def main() -> None:
    """Run the command line."""
    quiet()
    app()

"""The options that several commands take, each written once, and how their values are read."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from conceptscope._typed_numbers import position, whole

# options under a heading of their own in a command's help
in_columns = partial(typer.Option, rich_help_panel="Columns of the data")
in_reading = partial(typer.Option, rich_help_panel="What is read")
in_method = partial(typer.Option, rich_help_panel="Method")
in_steering = partial(typer.Option, rich_help_panel="Steering")


class ExtractorName(StrEnum):
    """The extractors that the command line offers."""

    mean_difference = "mean-difference"
    logistic = "logistic"
    linear_discriminant = "linear-discriminant"
    leace = "leace"
    principal_direction = "principal-direction"
    contrast_consistent = "contrast-consistent"


def random_directions(least: int) -> Any:
    """The option that says how many random directions there are."""
    return in_steering(
        parser=whole(least), help=f"How many random directions to compare with, at least {least}."
    )


def token_position(words: str) -> Any:
    """The option that says which token is read, by a word or an index."""
    said = f"The token to read: {words}, or an index from either end."
    return in_reading(metavar="<str>", parser=position, help=said)


Model = Annotated[
    str, typer.Option(help="A Hugging Face name, a folder, or 'tinyworld', which comes with the package.")
]
Data = Annotated[
    str, typer.Option(help="A .csv or .jsonl file, or a built-in set such as 'tinyworld/sentiment'.")
]
SavedConcept = Annotated[Path, typer.Option(help="A concept that 'conceptscope sweep' saved.")]
Force = Annotated[
    bool, typer.Option("--force", metavar="", help="Use a concept that was found in another model.")
]

TextColumn = Annotated[str, in_columns(help="That of the texts.")]
LabelColumn = Annotated[str, in_columns(help="That of the labels.")]
GroupColumn = Annotated[
    str | None,
    in_columns(
        help="That of the groups, whose rows stay together when data are split or shuffled (default: "
        "'group' if it is there)."
    ),
]

Sites = Annotated[
    str, in_reading(help="Kinds or sites, with commas between: 'resid_post' is that of every layer.")
]
Position = Annotated[Any, token_position("'last', 'first', 'mean'")]  # int | str: typer takes no unions

Extractor = Annotated[
    ExtractorName,
    in_method(
        metavar="<name>",
        help=f"How a concept is made: {', '.join(ExtractorName)}; the last two need a column 'pair'.",
    ),
]
Folds = Annotated[int, in_method(parser=whole(2), help="How many folds of held-out data.")]

Strengths = Annotated[
    str,
    in_steering(help="How far to move the reading, in standard deviations, with commas between: '-2,0,2'."),
]
Towards = Annotated[str | None, in_steering(help="The class to move towards (default: the last of two).")]
Tokens = Annotated[int, in_steering(parser=whole(1), help="How many tokens to write.")]
Directions = Annotated[int, random_directions(1)]

import pytest
import typer

from conceptscope._typed_numbers import position, real, whole


@pytest.mark.parametrize("given", ["20", 20])
def test_whole_numbers_are_read(given: str | int) -> None:
    assert whole(19)(given) == 20
    assert whole()("-3") == -3


@pytest.mark.parametrize(("given", "number"), [("0.5", 0.5), (".5", 0.5), ("-2", -2.0)])
def test_numbers_are_read(given: str, number: float) -> None:
    assert real()(given) == number


@pytest.mark.parametrize(
    ("given", "read"), [("last", "last"), ("7", 7), ("-1", -1), ("--1", "--1"), ("-", "-"), ("²", "²")]
)
def test_a_position_is_an_index_or_a_word(given: str, read: int | str) -> None:
    assert position(given) == read


@pytest.mark.parametrize(
    ("read", "given", "said"),
    [
        (whole(), "2.5", "'2.5' is not a whole number"),
        (whole(2), "", "'' is not a whole number from 2 on"),
        (whole(2), "1", "1 is not a whole number from 2 on"),
        (real(), "x", "'x' is not a number"),
        (real(), "nan", "nan is not a number"),
        (real(0), "-0.1", "-0.1 is not a number from 0 on"),
    ],
)
def test_what_is_none_or_too_small_is_refused(read, given: str, said: str) -> None:
    with pytest.raises(typer.BadParameter) as refusal:
        read(given)
    assert str(refusal.value) == said

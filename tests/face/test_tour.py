import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Run = Callable[..., str]


@pytest.fixture(scope="module")
def toured(succeeded: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("tour") / "pictures"
    return succeeded("tour", "--out", str(out)), out


def test_it_has_six_steps_and_says_where_to_go_next(toured: tuple[str, Path]) -> None:
    said, _ = toured
    assert re.findall(r"^(\d)  \w", said, flags=re.MULTILINE) == list("123456")
    assert 'cs.load_model("gpt2")' in said


def test_both_pictures_are_there(toured: tuple[str, Path]) -> None:
    _, out = toured
    assert sorted(path.name for path in out.iterdir()) == ["steering.png", "sweep.png"]
    for path in out.iterdir():
        with Image.open(path) as picture:
            assert picture.width > 600


def test_the_concept_is_found_and_the_coin_is_not(toured: tuple[str, Path]) -> None:
    said, _ = toured
    sentiment, coin = (
        [float(row) for row in re.findall(r"^ resid_post\.\d\s+([\d.]+)", part, flags=re.MULTILINE)]
        for part in (said[: said.index("\n6  ")], said[said.index("\n6  ") :])
    )
    assert max(sentiment) > 0.9
    assert max(coin) < 0.65


def test_steering_turns_words_that_random_directions_leave(toured: tuple[str, Path]) -> None:
    said, _ = toured
    own, random = (
        [int(share) for share in re.findall(r"(\d+)%", line)]
        for line in re.findall(r"^ +(?:along the concept|random directions).*$", said, flags=re.MULTILINE)
    )
    assert own[0] <= 2
    assert own[-1] >= 80
    assert max(random) <= 20

import pytest

from conceptscope.hooks import load_examples
from conceptscope.worlds import contrast, tinyworld


@pytest.mark.parametrize("name", contrast.NAMES)
def test_contrast_sets(name: str) -> None:
    data = load_examples(name)
    assert data.name == name
    assert len(data) >= 200
    assert len(set(data.labels)) == 2
    assert data.groups is not None


@pytest.mark.parametrize("factor", tinyworld.FACTORS)
def test_tinyworld_factors(factor: str) -> None:
    data = load_examples(f"tinyworld/{factor}")
    assert data.name == f"tinyworld/{factor}"
    assert len(set(data.labels)) >= 2
    train, test = data.split(0.3)
    assert not set(train.groups) & set(test.groups)


def test_refuses_other_names() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'sentiment'.*there are tinyworld/"):
        load_examples("sentimen")
    with pytest.raises(ValueError, match="no examples 'xyz': there are tinyworld/"):
        load_examples("xyz")
    with pytest.raises(ValueError, match=r"'mine.csv': a file is read by Examples\.from_csv"):
        load_examples("mine.csv")

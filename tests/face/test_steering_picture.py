from conceptscope._flips import Flips
from conceptscope._steering_picture import plot_flips


def test_both_lines_and_the_range_are_drawn() -> None:
    measured = Flips((0.0, 1.0, 2.0), (0.0, 0.5, 1.0), (0.0, 0.1, 0.2), (0.0, 0.0, 0.1), (0.0, 0.2, 0.4))
    axes = plot_flips(measured, "a title")
    own, random = axes.get_lines()
    assert list(own.get_ydata()) == [0.0, 0.5, 1.0]
    assert list(random.get_ydata()) == [0.0, 0.1, 0.2]
    assert len(axes.collections) == 1
    assert axes.get_title() == "a title"

"""What the grammar tells its texts to."""

from typing import Protocol

from conceptscope.worlds.tinyworld._choice import Choice, Value

END = "<s>"


class Teller(Protocol):
    """What a text is told to."""

    marks: bool

    def choose(self, slot: str, options: Choice) -> Value:
        """Make the choice called `slot`, showing its word if it has one."""

    def say(self, word: str) -> None:
        """Show a word that is the only one possible here."""

    def expect(self, factor: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
        """The next word is determined by `factor`: one of `right`, and otherwise one of `wrong`."""

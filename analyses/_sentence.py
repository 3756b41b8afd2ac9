"""A text with the words that may be absent, as a reader sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sentence:
    """The text's tokens, and which of them each player has; all others are fixed.

    spans: the numbers of each player's tokens.
    """

    text: str
    tokens: tuple[str, ...]
    spans: tuple[tuple[int, ...], ...]

    @property
    def fixed(self) -> tuple[int, ...]:
        """The numbers of the tokens that are always present."""
        playing = {index for span in self.spans for index in span}
        return tuple(index for index in range(len(self.tokens)) if index not in playing)

    def player_of(self, token: int) -> int | None:
        """The player that a token belongs to, or None."""
        return next((player for player, span in enumerate(self.spans) if token in span), None)

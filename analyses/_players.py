"""Players of a text: words, tokens or spans, and what of the text is fixed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool
from torch import Tensor

from conceptscope.analyses._stop_words import STOP_WORDS
from conceptscope.analyses._text_words import word_spans
from conceptscope.hooks import HookedModel
from conceptscope.hooks._prompts import Prompt

TextPlayers = str | Sequence[str | tuple[int, int]]
"""\"words", "tokens", or spans: strings that the text has once, or (start, end) in characters."""

_PART_OF_MODEL = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*\.\d+(?:\.\w+)*")  # z.3.5, blocks.3.hook_mlp_out
_SPECIAL = frozenset({"words", "tokens"})


@dataclass(frozen=True)
class Players:
    """Who can be absent from a text.

    spans: the indices of each player's tokens; labels: what they are called, each once. They are in the order
    of the text.
    """

    labels: tuple[str, ...]
    spans: tuple[tuple[int, ...], ...]

    def absent(self, masks: Bool[Tensor, "mask player"], n: int) -> Bool[Tensor, "mask position"]:
        """Which of a text's n tokens are an absent player's, for each coalition."""
        found = torch.zeros(len(masks), n, dtype=torch.bool)
        for player, span in enumerate(self.spans):
            found[:, list(span)] = ~masks[:, player, None]
        return found


@dataclass(frozen=True)
class _Piece:
    """Some characters of the text, and the tokens that have any of them."""

    text: str
    tokens: tuple[int, ...] = field(default=())


def text_players(
    model: HookedModel, prompt: Prompt, players: TextPlayers, fixed: Sequence[str] | None
) -> Players:
    """The players of a prompt; special tokens, and whatever is no player's, are fixed.

    players: in a chat, words and tokens are those of the last user's message, and strings are looked for
        there; (start, end) counts the characters of the rendered chat.
    fixed: words (or tokens) that are no players, in any case; None is `STOP_WORDS` for words and none for
        tokens.

    Raises:
        TypeError: players that are neither words nor spans.
        ValueError: no player left, a string that the text does not have or has twice, a span outside the
            text or without tokens, spans that overlap, ``fixed`` beside spans, or a tokenizer that does not
            say where its tokens lie.
    """
    if isinstance(players, str) and players not in _SPECIAL:
        raise ValueError(f"players must be 'words', 'tokens' or a list of spans, got {players!r}")
    if not isinstance(players, str) and fixed is not None:
        raise ValueError("fixed= is for players='words' or 'tokens': what no span covers is fixed already")
    pieces = _pieces(model, prompt, players)
    kept = _without_fixed(prompt, pieces, players, fixed)
    _check_disjoint(kept)
    ordered = sorted(kept, key=lambda piece: piece.tokens)
    return Players(_labels([piece.text for piece in ordered]), tuple(piece.tokens for piece in ordered))


def _pieces(model: HookedModel, prompt: Prompt, players: TextPlayers) -> list[_Piece]:
    start, end = _region(prompt)
    if players == "tokens":
        inside = prompt.content if not prompt.roles else _meeting(model, prompt, start, end)
        shown = str_tokens(model, prompt)
        return [_Piece(shown[index].strip(), (index,)) for index in inside]
    if players == "words":
        return _words(model, prompt, start, end)
    return [_span(model, prompt, given, start, end) for given in players]


def str_tokens(model: HookedModel, prompt: Prompt) -> tuple[str, ...]:
    """The tokens as the text has them, each with the space before it, and special ones as they are written.

    Of characters that are several tokens, the first has the text.
    """
    decoded = [str(model.tokenizer.decode([token])) for token in prompt.ids]
    if not prompt.offsets:
        return tuple(decoded)
    shown, at = [], 0
    for index, (_, end) in enumerate(prompt.offsets):
        inside = index in prompt.content_index
        shown.append(prompt.text[at:end] if inside else decoded[index])
        at = max(at, end)
    return tuple(shown)


def _region(prompt: Prompt) -> tuple[int, int]:
    """The characters among which players are looked for: in a chat the last user's message."""
    if not prompt.roles:
        return 0, len(prompt.text)
    users = [(start, end) for role, start, end in prompt.roles if role == "user"]
    if not users:
        raise ValueError("the chat has no message of the user, whose words are the players: give spans")
    return users[-1]


def _words(model: HookedModel, prompt: Prompt, start: int, end: int) -> list[_Piece]:
    """Words with their tokens; a token that two words share belongs to the first."""
    found: list[_Piece] = []
    taken: set[int] = set()
    for first, last in word_spans(prompt.text, start, end):
        tokens = tuple(i for i in _meeting(model, prompt, first, last) if i not in taken)
        taken.update(tokens)
        if tokens:
            found.append(_Piece(prompt.text[first:last], tokens))
    return found


def _span(model: HookedModel, prompt: Prompt, given: object, start: int, end: int) -> _Piece:
    if isinstance(given, str):
        n = prompt.text.count(given, start, end) if given else 0
        if n != 1:
            often = "does not occur" if n == 0 else f"occurs {n} times"
            instead = "give a string that it has once, or (start, end) in characters"
            if n == 0 and _PART_OF_MODEL.fullmatch(given):
                instead = f"strings are parts of the text, and a part of the model is Site({given!r})"
            raise ValueError(f"the player {given!r} {often} in {_shown(prompt.text[start:end])}: {instead}")
        first = prompt.text.index(given, start, end)
        span = first, first + len(given)
    else:
        span = _checked_range(prompt, given)
    tokens = _meeting(model, prompt, *span)
    text = prompt.text[slice(*span)].strip()
    if not tokens:
        raise ValueError(f"the player {text!r} has no tokens but special ones, which are always fixed")
    return _Piece(text, tokens)


def _checked_range(prompt: Prompt, given: object) -> tuple[int, int]:
    if not isinstance(given, Sequence) or len(given) != 2:
        raise TypeError(f"a player is a string of the text or (start, end) in characters, got {given!r}")
    start, end = int(given[0]), int(given[1])
    if not 0 <= start < end <= len(prompt.text):
        raise ValueError(f"the player {(start, end)} is not inside the text's {len(prompt.text)} characters")
    return start, end


def _meeting(model: HookedModel, prompt: Prompt, start: int, end: int) -> tuple[int, ...]:
    """The content tokens that share a character with a range."""
    offsets = prompt.offsets or _found_offsets(model, prompt)
    return tuple(i for i in prompt.content if max(start, offsets[i][0]) < min(end, offsets[i][1]))


def _found_offsets(model: HookedModel, prompt: Prompt) -> tuple[tuple[int, int], ...]:
    """Where each token lies, for a tokenizer that does not say: decoded and found one after the other."""
    offsets, at = [], 0
    for index, token in enumerate(prompt.ids):
        piece = model.tokenizer.decode([token]).strip().removeprefix("##")
        start = prompt.text.find(piece, at) if index in prompt.content_index else at
        if start < 0:
            raise ValueError(
                f"the tokenizer of {model.name} does not say where its tokens lie, and {piece!r} is not in "
                "the text: load a fast tokenizer, or choose players='tokens'"
            )
        at = start + len(piece) if index in prompt.content_index else at
        offsets.append((start, at))
    return tuple(offsets)


def _without_fixed(
    prompt: Prompt, pieces: Sequence[_Piece], players: TextPlayers, fixed: Sequence[str] | None
) -> list[_Piece]:
    if isinstance(fixed, str):
        raise TypeError(f"fixed must be a list of words, got one string: write [{fixed!r}]")
    default = STOP_WORDS if players == "words" else frozenset[str]()
    words = default if fixed is None else {word.strip().casefold() for word in fixed}
    kept = [piece for piece in pieces if piece.text.replace("\u2019", "'").casefold() not in words]
    if not kept:
        why = "all of its words are fixed" if pieces else "it has none"
        raise ValueError(
            f"no player is left in {_shown(prompt.text)}: {why}; choose players='tokens', "
            "or fixed=[] to let every word play"
        )
    return kept


def _check_disjoint(pieces: Sequence[_Piece]) -> None:
    owners: dict[int, str] = {}
    for piece in pieces:
        for token in piece.tokens:
            if token in owners:
                raise ValueError(
                    f"the players {owners[token]!r} and {piece.text!r} share a token: make them one, or "
                    "take spans that do not overlap"
                )
            owners[token] = piece.text


def _labels(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts, numbered from the second on where one occurs again."""
    seen: Counter[str] = Counter()
    labels = []
    for text in texts:
        seen[text] += 1
        labels.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return tuple(labels)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")

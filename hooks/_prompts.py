"""Texts and chats as token ids, with what positions are resolved against."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conceptscope.hooks._model import HookedModel, check_model

Text = str | Sequence[Mapping[str, Any]]
"""A text, or a chat: messages with a role and a content."""

_ORDINARY = ("unk_token_id", "mask_token_id")
_STRUCTURAL = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "pad_token_id")


@dataclass(frozen=True)
class Prompt:
    """A text as token ids.

    ``content`` holds the indices into ``ids`` of the tokens that are not special ones, and ``offsets`` each
    token's (start, end) in characters of ``text``, empty where the tokenizer knows none. ``spans`` are the
    example's own, in characters; ``roles`` are those of a chat, as (role, start, end).
    """

    text: str
    ids: tuple[int, ...]
    content: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    roles: tuple[tuple[str, int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @functools.cached_property
    def content_index(self) -> dict[int, int]:
        """Index into ``ids`` -> position among the content tokens."""
        return {index: position for position, index in enumerate(self.content)}


def encode(model: HookedModel, texts: Sequence[Text], spans: Sequence[Any] | None = None) -> list[Prompt]:
    """Texts or chats as the model's own tokenizer encodes them, without padding or truncation.

    A chat is rendered by the tokenizer's chat template, open for the assistant unless it has the last word.
    spans: for each text (start, end), a list of these, or None; in characters.

    Warns where the tokenizer knows less than half of the words.

    Raises:
        TypeError: what is no model; a single string instead of a list, or an entry that is neither a text
            nor a chat.
        ValueError: no texts, a text without tokens or with more than the model's context, a span outside its
            text, or a chat without a chat template.
    """
    check_model(model)
    rendered = [_render(model, row, text) for row, text in enumerate(_checked(texts))]
    prompts: list[Prompt | None] = [None] * len(rendered)
    special = special_ids(model.tokenizer)
    limit = context_length(model)
    for is_chat in (False, True):
        rows = [row for row, (_, roles) in enumerate(rendered) if (roles is not None) == is_chat]
        for row, (ids, offsets) in zip(rows, _tokenize(model, rendered, rows, not is_chat), strict=True):
            text, roles = rendered[row]
            content = tuple(index for index, token in enumerate(ids) if token not in special)
            _check_length(row, text, len(ids), len(content), limit)
            given = _spans(row, text, None if spans is None else spans[row])
            prompts[row] = Prompt(text, ids, content, offsets, given, roles or ())
    encoded = [prompt for prompt in prompts if prompt is not None]
    _warn_of_unknown_words(model, encoded)
    return encoded


def special_ids(tokenizer: Any) -> frozenset[int]:
    """The ids of the tokens that frame a text (<s>, [SEP], <|im_start|>); unknown and mask tokens do not."""
    if tokenizer is None:
        return frozenset()
    structural = {getattr(tokenizer, name, None) for name in _STRUCTURAL}
    ordinary = {getattr(tokenizer, name, None) for name in _ORDINARY} - structural
    marked = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    framing = (marked | set(tokenizer.all_special_ids)) - ordinary
    return frozenset(index for index in framing | structural if index is not None)


def context_length(model: HookedModel) -> int | None:
    """The number of tokens that the model has positions for, or None where there is no limit."""
    config = model.hf.config.get_text_config()
    length = getattr(config, "max_position_embeddings", None)
    if not isinstance(length, int):
        return None
    embeddings = None if model.backend == "vllm" else getattr(model.body, "embeddings", None)
    shifted = getattr(embeddings, "padding_idx", None) is not None
    return length - embeddings.padding_idx - 1 if shifted and embeddings is not None else length


def _checked(texts: Sequence[Text]) -> list[Text]:
    if isinstance(texts, str):
        raise TypeError(f"expected a list of texts, got one string: write [{texts[:30]!r}]")
    listed = list(texts)
    if not listed:
        raise ValueError("there are no texts: at least one is needed")
    if isinstance(listed[0], Mapping):
        raise TypeError("expected a list of texts or chats, got the messages of one chat: write [chat]")
    return listed


def _render(model: HookedModel, row: int, text: Text) -> tuple[str, tuple[tuple[str, int, int], ...] | None]:
    """A text as it is, or a chat through the template, with the place of each message."""
    if isinstance(text, str):
        return text, None
    if not isinstance(text, Iterable) or not all(
        isinstance(m, Mapping) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str)
        for m in text
    ):
        raise TypeError(
            f"text {row} is neither a string nor a list of messages with role and content: {text!r}"
        )
    if not text:
        raise ValueError(f"text {row} is a chat without messages")
    if not getattr(model.tokenizer, "chat_template", None):
        raise ValueError(
            f"text {row} is a chat, but the tokenizer of {model.name} has no chat template: "
            "give a string, or set tokenizer.chat_template"
        )
    return _render_chat(model.tokenizer, row, [dict(message) for message in text])


def _render_chat(
    tokenizer: Any, row: int, messages: list[dict[str, Any]]
) -> tuple[str, tuple[tuple[str, int, int], ...]]:
    """Render a chat twice, with marks for contents and with the contents, which shows where each one lies."""

    def render(chat: list[dict[str, Any]]) -> str:
        return str(
            tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=chat[-1]["role"] != "assistant"
            )
        )

    text = render(messages)
    marks = [f"\ue000{index}\ue001" for index in range(len(messages))]
    frame = render([m | {"content": mark} for m, mark in zip(messages, marks, strict=True)])
    roles, shift = [], 0
    for message, mark in zip(messages, marks, strict=True):
        start = frame.find(mark) + shift
        content = _as_rendered(message["content"], text, start)
        if mark not in frame or content is None:
            raise ValueError(
                f"the chat template does not show the {message['role']} message of text {row} as it is, "
                "so its tokens cannot be found: render it yourself and give the string"
            )
        roles.append((message["role"], start, start + len(content)))
        shift += len(content) - len(mark)
    return text, tuple(roles)


def _as_rendered(content: str, text: str, start: int) -> str | None:
    """The content as it stands at ``start``: unchanged, or stripped as many templates do."""
    return next((c for c in (content, content.strip()) if text.startswith(c, start)), None)


def _tokenize(
    model: HookedModel, rendered: Sequence[tuple[str, Any]], rows: Sequence[int], add_special_tokens: bool
) -> Iterable[tuple[tuple[int, ...], tuple[tuple[int, int], ...]]]:
    if not rows:
        return []
    if model.tokenizer is None:
        raise ValueError(f"{model.name} was loaded without a tokenizer: give load_model one with tokenizer=")
    encoded = model.tokenizer(
        [rendered[row][0] for row in rows],
        add_special_tokens=add_special_tokens,
        return_offsets_mapping=model.tokenizer.is_fast,
        return_attention_mask=False,
        padding=False,
        truncation=False,
        verbose=False,
    )
    ids = [tuple(tokens) for tokens in encoded["input_ids"]]
    offsets = encoded["offset_mapping"] if model.tokenizer.is_fast else [()] * len(ids)
    return zip(ids, (tuple((int(s), int(e)) for s, e in pairs) for pairs in offsets), strict=True)


def _check_length(row: int, text: str, n: int, n_content: int, limit: int | None) -> None:
    if n_content == 0:
        raise ValueError(f"text {row} is empty: {text!r} has no tokens but special ones")
    if limit is not None and n > limit:
        raise ValueError(
            f"text {row} has {n} tokens, and the model has positions for {limit}: shorten {text[:40]!r}..."
        )


def _warn_of_unknown_words(model: HookedModel, prompts: Sequence[Prompt]) -> None:
    unknown = getattr(model.tokenizer, "unk_token_id", None)
    tokens = [prompt.ids[index] for prompt in prompts for index in prompt.content]
    share = sum(token == unknown for token in tokens) / len(tokens)
    if share > 0.5:
        warnings.warn(  # rounded, so that verbs with many calls say it once
            f"about {round(share, 1):.0%} of the tokens are {model.tokenizer.unk_token!r}: the tokenizer of "
            f"{model.name} does not know most words of these texts, and the model cannot tell them apart; "
            "use words that it knows, or another model",
            stacklevel=2,
        )


def _spans(row: int, text: str, given: Any) -> tuple[tuple[int, int], ...]:
    if given is None:
        return ()
    listed = list(given)
    pairs = [tuple(given)] if listed and not isinstance(listed[0], Iterable) else [tuple(p) for p in listed]
    for pair in pairs:
        if len(pair) != 2 or not 0 <= pair[0] < pair[1] <= len(text):
            raise ValueError(f"span {pair} of text {row} is not inside its {len(text)} characters")
    return tuple((int(start), int(end)) for start, end in pairs)

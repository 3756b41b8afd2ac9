import warnings
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import processors

from conceptscope.hooks import capture, load_model
from conceptscope.hooks._prompts import encode, special_ids

TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content | trim }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)
CHAT = [
    {"role": "user", "content": "  user "},
    {"role": "assistant", "content": "Paris is the capital."},
    {"role": "user", "content": "user: Yes"},
]


@pytest.fixture
def chatty(build: Callable[..., Any]) -> Callable[[str], Any]:
    """A model whose tokenizer has this chat template."""

    def make(template: str) -> Any:
        model, tokenizer = build("gpt2")
        tokenizer.chat_template = template
        return load_model(model, tokenizer=tokenizer)

    return make


@pytest.mark.architectures("gpt2", "llama", "bert", "bloom")
def test_ids_are_the_tokenizers_own(
    architecture: str, tiny: Callable[..., Any], sentences: list[str]
) -> None:
    model = tiny(architecture)
    for prompt, text in zip(encode(model, sentences), sentences, strict=True):
        assert list(prompt.ids) == model.tokenizer(text)["input_ids"]


@pytest.mark.parametrize(("name", "before", "after"), [("gpt2", 0, 0), ("llama", 1, 0), ("bert", 1, 1)])
def test_content_leaves_out_special_tokens(
    name: str, before: int, after: int, tiny: Callable[..., Any], sentences: list[str]
) -> None:
    for prompt in encode(tiny(name), sentences):
        assert prompt.content == tuple(range(before, len(prompt.ids) - after))


def test_content_agrees_with_the_tokenizers_special_tokens_mask(
    tiny: Callable[..., Any], sentences: list[str]
) -> None:
    model = tiny("bert")
    for prompt, text in zip(encode(model, sentences), sentences, strict=True):
        mask = model.tokenizer(text, return_special_tokens_mask=True)["special_tokens_mask"]
        assert prompt.content == tuple(index for index, special in enumerate(mask) if not special)


def test_unknown_and_mask_tokens_are_content(tiny: Callable[..., Any]) -> None:
    tokenizer = tiny("bert").tokenizer
    assert tokenizer.unk_token_id not in special_ids(tokenizer)
    assert tokenizer.mask_token_id not in special_ids(tokenizer)
    (prompt,) = encode(tiny("bert"), ["The [MASK] dog"])
    assert tokenizer.mask_token_id in [prompt.ids[index] for index in prompt.content]


def test_an_end_of_text_token_that_is_also_the_unknown_one_is_special(
    tokenizer_for: Callable[..., Any],
) -> None:
    tokenizer = tokenizer_for("gpt2")
    tokenizer.unk_token = tokenizer.eos_token
    assert tokenizer.eos_token_id in special_ids(tokenizer)


def test_offsets_are_places_in_the_text(tiny: Callable[..., Any], sentences: list[str]) -> None:
    for prompt in encode(tiny("llama"), sentences):
        assert "".join(prompt.text[slice(*prompt.offsets[index])] for index in prompt.content) == prompt.text


def test_a_text_may_have_one_span_several_or_none(tiny: Callable[..., Any]) -> None:
    prompts = encode(tiny("gpt2"), ["a dog", "a cat", "a cow"], [(2, 5), [(0, 1), (2, 5)], None])
    assert [prompt.spans for prompt in prompts] == [((2, 5),), ((0, 1), (2, 5)), ()]


def test_a_chat_is_rendered_by_the_template(chatty: Callable[[str], Any]) -> None:
    model = chatty(TEMPLATE)
    plain, chat = encode(model, ["Yes", CHAT])
    assert plain.roles == ()
    assert chat.text == model.tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    assert list(chat.ids) == model.tokenizer(chat.text, add_special_tokens=False)["input_ids"]
    assert [(role, chat.text[start:end]) for role, start, end in chat.roles] == [
        ("user", "user"),
        ("assistant", "Paris is the capital."),
        ("user", "user: Yes"),
    ]
    assert not {chat.ids[index] for index in chat.content} & {0, 2}


def test_a_chat_that_ends_with_the_assistant_is_not_opened_again(chatty: Callable[[str], Any]) -> None:
    (chat,) = encode(chatty(TEMPLATE), [CHAT[:2]])
    assert chat.text.endswith("capital.</s>")


def test_a_template_that_rewrites_a_message_is_refused(chatty: Callable[[str], Any]) -> None:
    model = chatty("{% for m in messages %}{{ m.content | upper }}{% endfor %}")
    with pytest.raises(ValueError, match="does not show the assistant message of text 0"):
        encode(model, [[{"role": "assistant", "content": "Yes"}]])


def test_texts_that_cannot_be_encoded_are_refused(tiny: Callable[..., Any]) -> None:
    model = tiny("llama")
    with pytest.raises(TypeError, match=r"write \['The dog'\]"):
        encode(model, "The dog")
    with pytest.raises(ValueError, match="no texts"):
        encode(model, [])
    with pytest.raises(ValueError, match="text 1 is empty"):
        encode(model, ["Yes", ""])
    with pytest.raises(TypeError, match=r"write \[chat\]"):
        encode(model, CHAT)
    with pytest.raises(ValueError, match="no chat template"):
        encode(model, [CHAT])
    with pytest.raises(TypeError, match="text 0 is neither"):
        encode(model, [[{"role": "user"}]])
    with pytest.raises(ValueError, match="without messages"):
        encode(model, [[]])
    with pytest.raises(ValueError, match=r"span \(1, 9\) of text 0"):
        encode(model, ["Yes"], [(1, 9)])


@pytest.mark.parametrize(("name", "limit"), [("gpt2", 128), ("llama", 128), ("roberta", 126)])
def test_a_text_longer_than_the_context_is_refused(name: str, limit: int, tiny: Callable[..., Any]) -> None:
    model = tiny(name)
    framing = len(model.tokenizer("x")["input_ids"]) - 1
    encode(model, ["x", "!" * (limit - framing)])
    with pytest.raises(ValueError, match=f"text 1 has {limit + 1} tokens, .* positions for {limit}"):
        encode(model, ["x", "!" * (limit - framing + 1)])


def test_a_tokenizer_that_truncates_and_pads_does_neither(
    build: Callable[..., Any], sentences: list[str]
) -> None:
    model, tokenizer = build("bert")
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=60)
    hooked = load_model(model, tokenizer=tokenizer)
    lengths = [len(prompt) for prompt in encode(hooked, sentences)]
    assert len(set(lengths)) > 3
    assert max(lengths) > 20


def test_a_model_without_a_limit_takes_long_texts(tiny: Callable[..., Any]) -> None:
    assert len(encode(tiny("bloom"), ["!" * 500])[0]) == 500


def test_a_tokenizer_that_appends_an_end_has_it_outside_the_content(build: Callable[..., Any]) -> None:
    model, tokenizer = build("gpt2")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    (prompt,) = encode(load_model(model, tokenizer=tokenizer), ["Yes"])
    assert prompt.ids[-1] == 2
    assert prompt.content == tuple(range(len(prompt) - 1))


@pytest.mark.parametrize("texts", [["der Hund war froh", "das Auto war schnell"], ["😀 🎉", "狗 高兴 bad"]])
def test_texts_of_which_the_tokenizer_knows_little_are_warned_of(texts: list[str]) -> None:
    model = load_model("tinyworld")
    message = (
        r"about (100|80)% of the tokens are '<unk>': the tokenizer of tinyworld does not know most words"
    )
    with pytest.warns(UserWarning, match=message) as told:
        capture(model, texts, "resid_post.0")
    assert len(told) == 1


@pytest.mark.architectures("gpt2", "llama", "bert", "bloom")
def test_byte_level_tokenizers_know_every_language(architecture: str, tiny: Callable[..., Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(tiny(architecture), ["😀 🎉", "狗 很 高兴", "الكلب سعيد", "Yes"])


def test_a_few_unknown_words_are_nothing_to_warn_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(load_model("tinyworld"), ["the dog was froh", "Zyzzyva is happy and sad"])

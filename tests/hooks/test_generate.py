import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from conceptscope.hooks import Examples, add_vector, generate, intervene, load_model, next_token_logits

Tiny = Callable[..., Any]
TEXT = "The dog was not happy about the rain."


@pytest.fixture
def causal(architecture: str, tiny: Tiny) -> Any:
    """Each tiny architecture that continues texts."""
    model = tiny(architecture)
    if not model.generates:
        pytest.skip("an encoder")
    return model


def ids_of(model: Any, text: str) -> Tensor:
    return torch.tensor([model.tokenizer(text)["input_ids"]])


@torch.no_grad()
def alone(model: Any, text: str) -> Tensor:
    """The last logits of a plain call with one text."""
    logits: Tensor = model.hf(ids_of(model, text)).logits[0, -1]
    return logits


@contextmanager
def watched(module: Any) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """The inputs and the outputs of a module's calls."""
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []

    def hook(module: Any, args: Any, output: Tensor) -> None:
        inputs.append(args[0])
        outputs.append(output)

    handle = module.register_forward_hook(hook)
    try:
        yield inputs, outputs
    finally:
        handle.remove()


def test_logits_are_those_of_one_text_at_a_time(causal: Any, sentences: list[str]) -> None:
    got = next_token_logits(causal, sentences)
    assert got.shape == (len(sentences), 400)
    assert torch.allclose(got, torch.stack([alone(causal, text) for text in sentences]), atol=1e-5)


def test_logits_keep_the_order_given(tiny: Tiny, sentences: list[str]) -> None:
    model = tiny("llama")
    there, back = next_token_logits(model, sentences), next_token_logits(model, sentences[::-1])
    assert torch.allclose(there, back.flip(0), atol=1e-5)


@pytest.mark.architectures("gpt2", "llama", "gemma2", "bloom", "gptj", "mamba", "falcon")
def test_only_the_last_position_goes_through_the_unembedding(
    architecture: str, tiny: Tiny, sentences: list[str]
) -> None:
    model = tiny(architecture)
    with watched(model.hf.get_output_embeddings()) as (inputs, _):
        next_token_logits(model, sentences)
    assert sum(seen.shape[0] for seen in inputs) == len(sentences)
    assert all(seen.shape[1] == 1 for seen in inputs)


def test_gemmas_soft_cap_is_kept(build: Callable[..., Any], sentences: list[str]) -> None:
    hf, tokenizer = build("gemma2", final_logit_softcapping=0.5)
    model = load_model(hf, tokenizer=tokenizer)
    got = next_token_logits(model, sentences)
    assert got.abs().max() <= 0.5
    assert torch.allclose(got, torch.stack([alone(model, text) for text in sentences]), atol=1e-5)


def test_logits_are_in_the_models_dtype(build: Callable[..., Any]) -> None:
    hf, tokenizer = build("llama")
    model = load_model(hf.to(torch.bfloat16), tokenizer=tokenizer)
    got = next_token_logits(model, [TEXT])
    assert got.dtype == torch.bfloat16
    assert torch.equal(got[0], alone(model, TEXT))


@pytest.mark.parametrize("backend", ["torch", "bridge"])
def test_both_backends_agree(backend: str, tiny: Tiny, sentences: list[str]) -> None:
    plain, model = tiny("gemma2"), tiny("gemma2", backend)
    assert torch.allclose(next_token_logits(model, sentences), next_token_logits(plain, sentences), atol=1e-5)
    assert generate(model, sentences, max_new_tokens=5) == generate(plain, sentences, max_new_tokens=5)


def test_greedy_continuations_are_transformers_own(causal: Any, sentences: list[str]) -> None:
    got = generate(causal, sentences[:4], max_new_tokens=4)
    for text, continuation in zip(sentences, got, strict=False):
        ids = ids_of(causal, text)
        mask = torch.ones_like(ids)
        out = causal.hf.generate(ids, attention_mask=mask, max_new_tokens=4, do_sample=False)
        assert text + continuation == causal.tokenizer.decode(out[0], skip_special_tokens=True)
    assert all(got)


def test_the_batch_changes_no_logits_on_the_way(causal: Any, sentences: list[str]) -> None:
    """Fixed tokens are fed by making the vocabulary one token wide, so that no argmax can flip."""
    n = 3

    def logits(texts: list[str]) -> Tensor:
        with watched(causal.hf.get_output_embeddings()) as (_, outputs), forced(causal.hf):
            generate(causal, texts, max_new_tokens=n)
        rows: list[Tensor] = []
        for start in range(0, len(outputs), n):
            rows += torch.stack([step[:, -1] for step in outputs[start : start + n]], 1)
        return torch.stack(rows)

    def by_value(batch: Tensor) -> Tensor:
        return batch[batch[:, 0, 10].argsort()]

    together = by_value(logits(sentences))
    one_by_one = by_value(torch.cat([logits([text]) for text in sentences]))
    assert together.shape == (len(sentences), n, 400)
    assert torch.allclose(together, one_by_one, atol=1e-5)


@contextmanager
def forced(hf: Any) -> Iterator[None]:
    """Every next token is token 50, whatever the logits are."""

    def hook(module: Any, args: Any, output: Any) -> Any:
        output.logits = torch.nn.functional.one_hot(
            torch.full(output.logits.shape[:2], 50), output.logits.shape[-1]
        ).to(output.logits.dtype)
        return output

    handle = hf.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def test_continuations_keep_the_order_given(causal: Any, sentences: list[str]) -> None:
    made = generate(causal, sentences, max_new_tokens=4)
    assert generate(causal, sentences[::-1], max_new_tokens=4) == made[::-1]
    assert generate(causal, sentences[2:3], max_new_tokens=4) == made[2:3]


def test_it_stops_at_the_end_of_text(build: Callable[..., Any], sentences: list[str]) -> None:
    hf, tokenizer = build("gpt2")
    model = load_model(hf, tokenizer=tokenizer)
    hf.generation_config.eos_token_id = None
    hf.config.eos_token_id = None
    ids = ids_of(model, TEXT)
    made = hf.generate(ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :].tolist()
    assert made[2] not in made[:2]
    for end in (made[2], [399, made[2]]):
        hf.generation_config.eos_token_id = end
        got = generate(model, [TEXT, *sentences], max_new_tokens=6)
        assert got[0] == tokenizer.decode(made[:2])


def test_it_goes_on_to_the_last_token_without_an_end(build: Callable[..., Any]) -> None:
    hf, tokenizer = build("gpt2")
    model = load_model(hf, tokenizer=tokenizer)
    hf.generation_config.eos_token_id = hf.config.eos_token_id = tokenizer.eos_token = None
    with watched(hf.lm_head) as (_, outputs):
        generate(model, [TEXT, "Yes"], max_new_tokens=7)
    assert [len(step) for step in outputs] == [2] * 7


def test_an_end_that_the_tokenizer_appends_is_left_out(
    build: Callable[..., Any], sentences: list[str]
) -> None:
    hf, tokenizer = build("gpt2")
    model = load_model(hf, tokenizer=tokenizer)
    expected = generate(model, sentences, max_new_tokens=4), next_token_logits(model, sentences)
    hf, tokenizer = build("gpt2")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    model = load_model(hf, tokenizer=tokenizer)
    assert tokenizer(TEXT)["input_ids"][-1] == 2
    assert generate(model, sentences, max_new_tokens=4) == expected[0]
    assert torch.equal(next_token_logits(model, sentences), expected[1])


def test_a_seed_gives_the_same_samples_and_another_others(tiny: Tiny, sentences: list[str]) -> None:
    model = tiny("llama")
    settings: dict[str, Any] = {"max_new_tokens": 8, "temperature": 1.0}
    first = generate(model, sentences, generator=3, **settings)
    assert generate(model, sentences, generator=3, **settings) == first
    assert generate(model, sentences, generator=4, **settings) != first
    assert generate(model, sentences, **settings) != generate(model, sentences, max_new_tokens=8)


def test_a_torch_generator_moves_on(tiny: Tiny) -> None:
    model, generator = tiny("llama"), torch.Generator().manual_seed(5)
    one = generate(model, [TEXT], temperature=1.0, generator=generator)
    assert generate(model, [TEXT], temperature=1.0, generator=generator) != one
    assert generate(model, [TEXT], temperature=1.0, generator=torch.Generator().manual_seed(5)) == one
    state = generator.get_state()
    generate(model, [TEXT], generator=generator)
    assert torch.equal(generator.get_state(), state)


def test_global_randomness_is_not_touched(tiny: Tiny) -> None:
    state = torch.random.get_rng_state()
    generate(tiny("llama"), [TEXT], temperature=1.0)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_sample_does_not_depend_on_the_batch(causal: Any, sentences: list[str]) -> None:
    settings: dict[str, Any] = {"max_new_tokens": 4, "temperature": 1.0}
    whole = generate(causal, sentences, **settings)
    assert generate(causal, sentences[:4], **settings) == whole[:4]
    assert generate(causal, [sentences[0], "My", sentences[2]], **settings)[::2] == whole[:3:2]


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_samples_follow_the_softmax(temperature: float, tiny: Tiny) -> None:
    model, n = tiny("gpt2"), 2000
    probabilities = torch.softmax(alone(model, "Yes") / temperature, -1)
    likeliest = int(probabilities.argmax())
    seen = generate(model, ["Yes"] * n, max_new_tokens=1, temperature=temperature)
    token = model.tokenizer.decode([likeliest])
    twins = [t for t in range(400) if model.tokenizer.decode([t], skip_special_tokens=True) == token]
    p = probabilities[twins].sum().item()
    share = seen.count(token) / n
    assert 0.01 < p < 0.99
    assert abs(share - p) < 4 * (p * (1 - p) / n) ** 0.5


def test_the_models_own_sampling_settings_stay_out_and_stay(build: Callable[..., Any]) -> None:
    hf, tokenizer = build("gpt2")
    model = load_model(hf, tokenizer=tokenizer)
    expected = generate(model, [TEXT], max_new_tokens=8)
    config = hf.generation_config
    config.do_sample, config.repetition_penalty, config.max_length = True, 5.0, 3
    assert generate(model, [TEXT], max_new_tokens=8) == expected
    assert hf.generation_config is config
    assert config.repetition_penalty == 5.0


def test_a_model_in_training_is_read_in_evaluation(build: Callable[..., Any]) -> None:
    hf, tokenizer = build("gpt2", attn_pdrop=0.5, resid_pdrop=0.5)
    model = load_model(hf, tokenizer=tokenizer)
    expected = next_token_logits(model, [TEXT]), generate(model, [TEXT], max_new_tokens=5)
    hf.train()
    assert torch.equal(next_token_logits(model, [TEXT]), expected[0])
    assert generate(model, [TEXT], max_new_tokens=5) == expected[1]
    assert hf.training


def test_a_continuation_keeps_the_space_that_joins_it(build: Callable[..., Any]) -> None:
    """A tokenizer of words writes spaces between tokens only, so a continuation alone would lose one."""
    hf, _ = build("gpt2")
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(400)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    model = load_model(hf, tokenizer=PreTrainedTokenizerFast(tokenizer_object=words))
    for continuation in generate(model, ["w5 w6", "w7"], max_new_tokens=3):
        assert re.fullmatch(r"( w\d+)+", continuation)


def test_steering_changes_what_is_generated(causal: Any, sentences: list[str]) -> None:
    v = 3 * torch.randn(32, generator=torch.Generator().manual_seed(1))
    plain = generate(causal, sentences, max_new_tokens=5)
    with intervene(causal, add_vector("resid_post.1", v, "generated")):
        steered = generate(causal, sentences, max_new_tokens=5)
        assert [generate(causal, [text], max_new_tokens=5)[0] for text in sentences[:2]] == steered[:2]
    assert steered != plain


def test_the_spans_of_examples_are_positions(tiny: Tiny) -> None:
    model, v = tiny("gpt2"), 3 * torch.ones(32).cumsum(0).sin()
    spanned = Examples([TEXT, "The dog"], spans=[(4, 7), None])
    with intervene(model, add_vector("resid_post.1", v, re.compile("dog"))):
        expected = next_token_logits(model, [TEXT])
    with intervene(model, add_vector("resid_post.1", v, "span")):
        assert torch.allclose(next_token_logits(model, spanned[:1]), expected, atol=1e-5)
        with pytest.raises(ValueError, match="'The dog' has no span"):
            next_token_logits(model, spanned)


def test_a_chat_is_continued_and_steered_by_role(build: Callable[..., Any]) -> None:
    hf, tokenizer = build("gpt2")
    tokenizer.chat_template = (
        "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant:{% endif %}"
    )
    model = load_model(hf, tokenizer=tokenizer)
    chat = [{"role": "user", "content": "Paris is"}]
    rendered = "<s>user: Paris is</s><s>assistant:"
    assert generate(model, [chat], max_new_tokens=4) == generate(model, [rendered], max_new_tokens=4)
    v = 3 * torch.ones(32).cumsum(0).sin()
    with intervene(model, add_vector("resid_post.1", v, "user")):
        by_role = next_token_logits(model, [chat])
    with intervene(model, add_vector("resid_post.1", v, re.compile("(?<=: )Paris is"))):
        assert torch.equal(next_token_logits(model, [rendered]), by_role)
    assert not torch.equal(next_token_logits(model, [chat]), by_role)


@pytest.mark.architectures("bert", "roberta")
def test_an_encoder_is_refused(architecture: str, tiny: Tiny) -> None:
    for verb in (generate, next_token_logits):
        with pytest.raises(
            ValueError, match="is an encoder, or has no head, and continues no text: use capture"
        ):
            verb(tiny(architecture), [TEXT])


def test_what_cannot_be_generated_is_refused(tiny: Tiny) -> None:
    model = tiny("gpt2")
    for verb in (generate, next_token_logits):
        with pytest.raises(TypeError, match=r"expected a list of texts, got one string: write \["):
            verb(model, TEXT)
        with pytest.raises(ValueError, match="text 1 is empty"):
            verb(model, [TEXT, ""])
        with pytest.raises(ValueError, match="no examples"):
            verb(model, [])
    for n in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="max_new_tokens must be"):
            generate(model, [TEXT], max_new_tokens=n)  # type: ignore[arg-type]
    for temperature in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="temperature must be"):
            generate(model, [TEXT], temperature=temperature)
    with pytest.raises(TypeError, match=r"seed or a torch\.Generator"):
        generate(model, [TEXT], temperature=1.0, generator=1.5)  # type: ignore[arg-type]


def test_new_tokens_must_fit_into_the_context(build: Callable[..., Any]) -> None:
    hf, tokenizer = build("gpt2")
    model = load_model(hf, tokenizer=tokenizer)
    hf.generation_config.eos_token_id = hf.config.eos_token_id = tokenizer.eos_token = None
    with pytest.raises(ValueError, match=r"prompt 1 has 120 tokens, .* 128: max_new_tokens can be at most 9"):
        generate(model, ["Yes", "!" * 120], max_new_tokens=10)
    generate(model, ["Yes", "!" * 120], max_new_tokens=9)

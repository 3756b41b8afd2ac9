"""Interactions of a model's inputs and parts: beside plain masked forwards, and TinyWorld's answer key."""

import math

import pytest
import torch

import conceptscope as cs
from conceptscope.analyses._effects import Effect
from conceptscope.analyses._game import all_masks

TEXT = "oddly the small dog was not happy. it"
CRIED = cs.LogOdds("cried")


@pytest.fixture(scope="module")
def tinyworld():
    return cs.load_model("tinyworld")


@pytest.fixture(scope="module")
def found(tinyworld):
    return cs.interactions(tinyworld, TEXT, CRIED)


@torch.inference_mode()
def masked_log_odds(model: cs.HookedModel, text: str, token: str, players: list[str]) -> torch.Tensor:
    """One forward pass a mask, with the embeddings of absent words replaced by hand."""
    embed = model.hf.get_input_embeddings()
    ids = model.tokenizer(text)["input_ids"]
    words = [model.tokenizer.decode([i]).strip() for i in ids]
    target = model.tokenizer(token, add_special_tokens=False)["input_ids"][0]
    found = []
    for mask in all_masks(len(players)):
        x = embed(torch.tensor([ids])).clone()
        for present, word in zip(mask, players, strict=True):
            if not present:
                x[0, words.index(word)] = embed.weight.mean(0)
        p = model.hf(inputs_embeds=x).logits[0, -1].double().log_softmax(-1)[target]
        found.append(p - torch.log(-torch.expm1(p)))
    return torch.stack(found)


def test_the_values_are_those_of_the_model_with_words_taken_out(found, tinyworld):
    assert found.players == ("oddly", "small", "dog", "not", "happy")
    by_hand = masked_log_odds(tinyworld, TEXT, "cried", list(found.players))
    torch.testing.assert_close(found.values, by_hand, atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", ["and", "or", "and-or"])
def test_the_effects_add_up_to_the_value_on_every_mask(found, method):
    taken_apart = found.as_method(method)
    assert taken_apart.matching_error() <= 1e-9
    for mask, value in enumerate(found.values):
        present = {i for i in range(5) if mask >> i & 1}
        total = sum(float(effects[0]) for effects in taken_apart.effects.values())
        for kind, effects in taken_apart.effects.items():
            for other in range(1, 32):
                who = {i for i in range(5) if other >> i & 1}
                acts = who <= present if kind == "and" else bool(who & present)
                total += float(effects[other]) * acts
        assert total == pytest.approx(float(value), abs=1e-8)


def test_a_mixture_is_at_least_as_sparse_as_either_kind(found):
    def size(method: str, **settings: float) -> float:
        taken_apart = found.as_method(method, **settings)
        return sum(float(effects[1:].abs().sum()) for effects in taken_apart.effects.values())

    mixed = size("and-or")
    assert mixed <= min(size("and"), size("or")) * (1 + 1e-3)
    assert size("and-or", noise_share=0.04) < mixed
    noisy = found.as_method("and-or", noise_share=0.04)
    allowed = 0.04 * float(found.values[-1] - found.values[0])
    spread = float(found.values.max() - found.values.min())
    assert 0 < noisy.matching_error() <= abs(allowed) / spread * (1 + 1e-6)


def test_the_planted_interaction_is_the_strongest(found):
    strongest = found.salient()[0]
    assert strongest.players == ("oddly", "not", "happy")
    assert strongest.kind == "and"
    assert strongest.indices == (0, 3, 4)
    assert strongest.order == 3
    assert strongest.is_above_noise


@pytest.mark.parametrize("between", ["small", "red", "slim"])
def test_a_negation_is_the_strongest_whatever_stands_beside_it(tinyworld, between):
    """How far words that say nothing take part is measured by benchmarks/answer_key.py."""
    found = cs.interactions(tinyworld, f"the {between} dog was not happy. it", CRIED)
    assert found.strongest(1)[0].players == ("not", "happy")


def test_shapley_values_add_up_and_hide_the_interaction(found):
    gain = float(found.values[-1] - found.values[0])
    assert sum(found.shapley().values()) == pytest.approx(gain)
    pairs = found.sii(2)
    assert pairs["not", "happy"] != 0
    assert set(found.banzhaf()) == set(found.players)
    orders = {len(who) for who in found.stii(3)}
    assert orders == {1, 2, 3}
    assert sum(found.fsii(5).values()) == pytest.approx(gain)


def test_several_targets_cost_one_run_and_give_the_same(tinyworld, found):
    both = cs.interactions(tinyworld, TEXT, [CRIED, cs.LogitDifference("cried", "smiled")])
    assert [one.target for one in both] == ["log-odds of 'cried'", "logit of 'cried' less that of 'smiled'"]
    torch.testing.assert_close(both[0].values, found.values, atol=1e-5, rtol=0)


def test_a_concepts_reading_is_explained(tinyworld):
    data = cs.load_examples("tinyworld/valence")
    concept = cs.MeanDifference().fit(cs.capture(tinyworld, data, "resid_post.2"))
    read = cs.interactions(tinyworld, "the dog was not happy. it", concept)
    acts = cs.capture(tinyworld, ["the dog was not happy. it"], "resid_post.2")
    assert float(read.values[-1]) == pytest.approx(float(concept.read(acts)[0, 0]), abs=1e-4)
    assert read.matching_error() <= 1e-9


def test_interactions_of_a_steered_model_and_the_difference(tinyworld, found):
    push = cs.add_vector("resid_post.1", torch.ones(tinyworld.d_model) * 0.3, "last")
    with cs.intervene(tinyworld, push):
        steered = cs.interactions(tinyworld, TEXT, CRIED)
        logits = cs.next_token_logits(tinyworld, [TEXT])[0].double().log_softmax(-1)
    p = logits[tinyworld.tokenizer("cried", add_special_tokens=False)["input_ids"][0]]
    assert float(steered.values[-1]) == pytest.approx(float(p - torch.log(-torch.expm1(p))), abs=1e-4)
    difference = steered - found
    torch.testing.assert_close(difference.values, steered.values - found.values)
    assert "difference in log-odds of 'cried'" in repr(difference)
    torch.testing.assert_close(difference.effects["and"], steered.effects["and"] - found.effects["and"])
    assert difference.value_noise == pytest.approx(math.hypot(steered.value_noise, found.value_noise))
    with pytest.raises(ValueError, match="other players or targets"):
        found - cs.interactions(tinyworld, "the dog was happy. it", CRIED)


def test_the_path_is_the_one_that_was_taken(tinyworld, found, monkeypatch):
    from weakref import WeakKeyDictionary

    from conceptscope.analyses import _text_game as games

    assert found.path == "prefix trie"
    right = games.Trie.all_values
    monkeypatch.setattr(games, "_SHOWN", WeakKeyDictionary())
    monkeypatch.setattr(games.Trie, "all_values", lambda trie, done: right(trie, done) + 1)
    other = cs.interactions(tinyworld, TEXT, CRIED, noise=False)
    assert other.path.startswith("batches: the trie did not give")
    torch.testing.assert_close(other.values, found.values, atol=1e-4, rtol=0)


def test_parts_of_the_model_play_too(tinyworld):
    heads = [cs.Site("z", 2, head) for head in range(3)]
    parts = cs.interactions(
        tinyworld, "the dog was not happy. it", CRIED, players=[*heads, cs.Site("mlp_out", 3)]
    )
    assert parts.sentence is None
    assert len(parts.values) == 16
    whole = cs.interactions(tinyworld, "the dog was not happy. it", CRIED)
    assert float(parts.values[-1]) == pytest.approx(float(whole.values[-1]), abs=1e-4)
    assert parts.matching_error() <= 1e-9
    assert "mlp_out.3" in parts.players[-1]
    assert "mlp_out.3" in parts._repr_html_()


def test_the_noise_of_the_arithmetic_is_measured(tinyworld, found):
    assert 1e-8 < found.value_noise < 1e-3
    floor = found.noise_floor()
    assert float(floor[0b11111] / floor[0b1]) == pytest.approx(4.0)
    silent = cs.interactions(tinyworld, TEXT, CRIED, noise=False)
    with pytest.raises(ValueError, match="noise=True"):
        silent.noise_floor()
    assert silent.salient()[0].noise is None


def test_the_noise_is_that_of_the_dtype(tiny):
    """In bfloat16 the measured noise is that of float32 values beside bfloat16 ones."""
    import copy

    model = tiny("gpt2")
    coarse = cs.load_model(copy.deepcopy(model.hf).to(torch.bfloat16), tokenizer=model.tokenizer)
    text, target = "one two three four", cs.LogOdds(5)
    rough, fine = (cs.interactions(one, text, target, players="tokens", fixed=[]) for one in (coarse, model))
    apart = float((rough.values - fine.values).std())
    assert rough.value_noise > 20 * fine.value_noise
    assert 0.3 < rough.value_noise / apart < 3


def test_conditions_are_reported(found):
    conditions = found.conditions()
    assert sum(conditions.n_salient) == len(found.salient())
    assert all(n <= bound + 1e-9 for n, bound in zip(conditions.n_salient, conditions.bound, strict=True))


def test_what_a_reader_sees(found):
    frame = found.to_frame()
    assert list(frame.columns) == ["kind", "order", "players", "effect", "share", "noise", "salient"]
    assert len(frame) == 31
    assert frame.effect.abs().is_monotonic_decreasing
    assert frame.salient.sum() == len(found.salient())
    assert "oddly & not & happy" in repr(found)
    html = found._repr_html_()
    assert html.count("<tr>") == 1 + min(12, len(found.salient()))
    assert ">oddly</b>" in html.replace(" </b>", "</b>")
    assert found.plot().get_xlabel() == "effect on log-odds of 'cried'"
    assert Effect("or", ("a", "b"), 1.0).name == "a | b"


def test_text_is_escaped_in_html(tinyworld):
    spiky = cs.interactions(tinyworld, "the dog was not happy. it", CRIED, players=["dog", "not", "happy"])
    assert spiky.players == ("dog", "not", "happy")
    from dataclasses import replace

    hostile = replace(spiky.sentence, tokens=("<b>&", *spiky.sentence.tokens[1:]))
    assert "<b>&" not in replace(spiky, sentence=hostile)._repr_html_()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"method": "xor"}, ValueError, "method must be one of 'and', 'or', 'and-or'; got 'xor'"),
        ({"noise_share": 0.04}, ValueError, "goes with method='and-or'"),
        ({"method": "and-or", "noise_share": -1}, ValueError, "from 0 to below 1"),
        ({"players": ["dog", cs.Site("z", 1, 0)]}, TypeError, "not both in one call"),
        ({"players": ["cat"]}, ValueError, "'cat' does not occur in .*: give a string that it has once"),
        ({"players": ["z.3.5", "z.3.6"]}, ValueError, r"a part of the model is Site\('z.3.5'\)"),
        ({"players": ["blocks.1.hook_mlp_out"]}, ValueError, r"is Site\('blocks.1.hook_mlp_out'\)"),
    ],
)
def test_what_cannot_be_done_is_refused(tinyworld, settings, error, message):
    with pytest.raises(error, match=message):
        cs.interactions(tinyworld, TEXT, CRIED, **settings)


def test_more_players_than_are_exact_are_refused_with_the_remedy(tinyworld):
    words = " ".join(["the dog ran."] * 11)
    with pytest.raises(ValueError, match=r"budget="):
        cs.interactions(tinyworld, words, CRIED)


def test_a_share_for_salience_must_be_a_share(found):
    with pytest.raises(ValueError, match="from 0 to 1"):
        found.salient(2.0)

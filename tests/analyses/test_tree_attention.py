"""The trie's values against those of plain batches, on every architecture, and where it is not taken."""

import pytest
import torch

import conceptscope as cs
from conceptscope.analyses import _tree_attention
from conceptscope.analyses._baselines import fixed_baseline
from conceptscope.analyses._game import all_masks
from conceptscope.analyses._players import Players
from conceptscope.analyses._targets import LogitDifference, LogOdds, Similarity
from conceptscope.analyses._text_game import TextGame, played, text_game
from conceptscope.hooks import load_model

TEXT = "She walked home and the dog was not happy about the rain, but nobody came."
PLAYERS = ["walked", "dog", "not", "happy", "about the", "nobody"]
TARGETS = [LogOdds(5), LogOdds([7, 9, 11]), LogOdds([7, 12]), LogitDifference(20, 30), lambda x: x[:, 3]]
ON_BATCHES = {
    "gemma2": "sliding window",
    "gemma3": "sliding window",
    "mistral": "sliding window",
    "gpt_neo": "sliding window",
    "bloom": "prefix",
    "mamba": "prefix",
}


def both(game):
    """The values by the trie, or whatever the game takes, and by plain batches."""
    return game.all_values(), game.values(all_masks(len(game.players)))


def test_values_are_those_of_the_batches(tiny, architecture):
    model = tiny(architecture)
    game = text_game(model, TEXT, TARGETS if model.generates else Similarity("Yes"), players=PLAYERS)
    found, plain = both(game)
    why = ON_BATCHES.get(architecture, "" if model.generates else "not a causal")
    assert game.path.startswith("batches: ") and why in game.path if why else game.path == "prefix trie"
    assert torch.allclose(found, plain, atol=1e-4, rtol=1e-6)
    assert plain.std(1).min() > 1e-6


@pytest.mark.architectures("gpt2", "llama", "opt", "gptj", "phi", "qwen3", "falcon")
def test_removed_tokens_are_removed_in_the_trie_too(tiny, architecture):
    game = text_game(tiny(architecture), TEXT, TARGETS, players=PLAYERS, baseline="attention")
    assert game.path == "prefix trie"
    found, plain = both(game)
    assert torch.allclose(found, plain, atol=1e-4)


@pytest.mark.architectures("gpt2", "llama", "gpt_neox")
def test_several_blocks_and_small_passes_change_nothing(tiny, architecture, monkeypatch):
    model = tiny(architecture)
    monkeypatch.setattr("conceptscope.analyses._trie._BLOCK", 12)
    monkeypatch.setattr(_tree_attention, "_TOKENS", 40)
    for baseline in ("mean", "attention"):
        game = text_game(model, TEXT, TARGETS, players=PLAYERS, baseline=baseline)
        found, plain = both(game)
        assert torch.allclose(found, plain, atol=1e-4)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_both_kinds_of_attention_take_the_mask(build, attention):
    hf, tokenizer = build("llama")
    hf.set_attn_implementation(attention)
    game = text_game(load_model(hf, tokenizer=tokenizer), TEXT, LogOdds(5), players=PLAYERS)
    assert game.path == "prefix trie"
    found, plain = both(game)
    assert torch.allclose(found, plain, atol=1e-4)


@pytest.mark.parametrize("baseline", ["mean", "attention"])
def test_players_in_two_places_and_at_the_very_beginning(tiny, baseline, monkeypatch):
    model = tiny("gpt2")
    monkeypatch.setattr("conceptscope.analyses._trie._BLOCK", 12)
    forwards, _ = played(model, TEXT, LogOdds(5), "words", None, fixed_baseline(model, baseline))
    spans = ((0, 9), (2,), (4, 7, 10), (8,))
    found, plain = both(TextGame(forwards, Players(("a", "b", "c", "d"), spans)))
    assert torch.allclose(found, plain, atol=1e-4)


def test_a_window_longer_than_the_text_does_not_matter(build):
    hf, tokenizer = build("mistral", sliding_window=64)
    game = text_game(load_model(hf, tokenizer=tokenizer), TEXT, LogOdds(5), players=PLAYERS)
    assert game.path == "prefix trie"
    found, plain = both(game)
    assert torch.allclose(found, plain, atol=1e-4)


def test_a_concept_at_the_last_token_goes_with_the_trie_and_one_before_does_not(world, sentiment):
    acts = cs.capture(world, sentiment[:40], "resid_post.2")
    concept = cs.MeanDifference().fit(acts)
    text = "the dog was not happy about it"
    game = text_game(world, text, [concept, LogOdds("happy")], players="tokens")
    assert game.path == "prefix trie"
    found, plain = both(game)
    assert torch.allclose(found, plain, atol=1e-4)
    early = cs.Concept(concept.reading, site=concept.site, position="first")
    assert "before the text's last" in text_game(world, text, early).path


@pytest.mark.parametrize(
    ("target", "n_read"), [(LogOdds("happy"), 64), (cs.Concept(torch.ones(128), site="resid_post.2"), 126)]
)
def test_the_last_mlp_runs_where_texts_end(world, target, n_read, monkeypatch):
    """The last block has 6 players of one token each: 2 + 4 + ... + 64 columns, of which 64 end a text."""
    mlp, widths = world.hf.model.layers[-1].mlp, []
    run = mlp.forward
    monkeypatch.setattr(mlp, "forward", lambda x: (widths.append(x.shape[1]), run(x))[1])
    game = text_game(world, "the dog was not happy about it", target, players="tokens")
    found, plain = game.all_values(), game.values(all_masks(len(game.players)))
    assert torch.allclose(found, plain, atol=1e-4)
    widths.clear()
    game.all_values()
    assert widths[-1] == n_read


def test_an_intervention_sends_the_game_to_batches_while_it_acts(world):
    game = text_game(world, "the dog was not happy about it", LogOdds("happy"))
    plain = game.all_values()
    with cs.intervene(world, cs.add_vector("resid_post.1", torch.arange(128.0))):
        assert game.path == "batches: interventions or hooks are on the model"
        assert not torch.allclose(game.all_values(), plain, atol=0.1)
    assert game.path == "prefix trie"
    assert torch.equal(game.all_values(), plain)


def test_a_trie_that_comes_out_wrong_is_not_taken(build, monkeypatch):
    hf, tokenizer = build("gpt2")
    game = text_game(load_model(hf, tokenizer=tokenizer), TEXT, LogOdds(5), players=PLAYERS)
    wrong = torch.zeros(1, 64, dtype=torch.float64)
    monkeypatch.setattr("conceptscope.analyses._text_game.Trie.all_values", lambda self, done: wrong)
    found = game.all_values()
    assert torch.equal(found, game.values(all_masks(6)))
    assert game.path == "batches: the trie did not give what plain forward passes give"


def test_done_is_told_of_every_coalition_and_may_stop_it(world):
    game = text_game(world, "the dog was not happy about it", LogOdds("happy"), players="tokens")
    told = []
    game.all_values(told.append)
    assert sum(told) == 2 ** len(game.players)

    def stop(n):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        game.all_values(stop)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in world.hf.modules())

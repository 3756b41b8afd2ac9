"""Games of a model's parts, against one forward pass under intervene() for each coalition."""

import dataclasses

import pytest
import torch

import conceptscope as cs
from conceptscope.analyses._game import all_masks
from conceptscope.analyses._latent_game import latent_game
from conceptscope.analyses._moebius import moebius
from conceptscope.analyses._targets import LogitDifference, LogOdds
from conceptscope.hooks import (
    Intervention,
    Site,
    intervene,
    mean_ablate,
    next_token_logits,
    patch,
    zero_ablate,
)
from conceptscope.hooks._inference import inference

TEXT = "The dog was not happy about the rain."
TOLERANCE = 1e-5


def text_for(model):
    return TEXT if model.generates else "The dog was [MASK] happy about the rain."


def last_logits(model, text):
    """The logits after the text, or at the mask, from one plain forward pass."""
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    at = -1 if model.generates else ids[0].tolist().index(model.tokenizer.mask_token_id)
    with inference(model.hf):
        return model.hf(input_ids=ids).logits[0, at].double()


def log_odds(logits, token):
    rest = torch.cat([logits[:token], logits[token + 1 :]])
    return logits[token] - rest.logsumexp(0)


def one_at_a_time(model, text, interventions, read):
    """A forward pass for each coalition, with the interventions of its absent players."""
    values = []
    for mask in all_masks(len(interventions)):
        absent = [one for one, present in zip(interventions, mask, strict=True) if not present]
        with intervene(model, *absent):
            values.append(read(last_logits(model, text)))
    return torch.stack(values)


def assert_same(found, expected):
    scale = max(1.0, float(expected.abs().max()))
    assert float((found - expected).abs().max()) <= TOLERANCE * scale


def players_of(model):
    """Some of every kind of site, in all layers but the first."""
    wanted = ["mlp_out.2", "z.1.0", "attn_out.1", "z.2.3", "resid_post.1"]
    return [one for one in wanted if one.split(".")[0] in model.kinds][:5]


def test_every_coalition_is_a_forward_pass_under_intervene(architecture, tiny):
    model = tiny(architecture)
    text, sites = text_for(model), players_of(model)
    game = latent_game(model, text, LogOdds(17), sites)
    assert game.path.startswith("layer by layer")
    seen = cs.capture(model, [text], sites, position="all")
    means = [mean_ablate(seen, site) for site in sites]
    expected = one_at_a_time(model, text, means, lambda logits: log_odds(logits, 17))
    assert expected.std() > 1e-3
    assert_same(game.all_values()[0], expected)
    assert game.path.startswith("layer by layer")


def test_players_below_the_last_block_have_the_same_values(architecture, tiny):
    """There the last MLP runs at the token read alone, in whatever architecture."""
    model = tiny(architecture)
    text = text_for(model)
    sites = [
        one
        for one in ["z.1.0", "attn_out.1", "mlp_out.1", "resid_post.0"]
        if one.split(".")[0] in model.kinds
    ]
    game = latent_game(model, text, LogOdds(17), sites, ablate="zero")
    zeros = [zero_ablate(site) for site in sites]
    assert_same(game.all_values()[0], one_at_a_time(model, text, zeros, lambda logits: log_odds(logits, 17)))
    assert game.path.startswith("layer by layer")


@pytest.mark.parametrize(("players", "n_read"), [(["z.1.0"], 1), (["z.2.0"], 14), (["resid_post.2"], 14)])
def test_the_last_mlp_runs_where_it_is_read(build, players, n_read):
    hf, tokenizer = build("gpt2")
    mlp, widths = hf.transformer.h[2].mlp, []
    run = mlp.forward
    mlp.forward = lambda x: (widths.append(x.shape[1]), run(x))[1]
    model = cs.load_model(hf, tokenizer=tokenizer)
    assert len(tokenizer(TEXT)["input_ids"]) == 14
    game = latent_game(model, TEXT, LogOdds(17), players, ablate="zero")
    widths.clear()
    game.all_values()
    game.all_values()
    assert widths[-1] == n_read
    with intervene(model, zero_ablate("mlp_out.0")):
        game.all_values()
    assert widths[-1] == 14


def logits_after(model, text):
    return next_token_logits(model, [text])[0].double()


def assert_is_played(model, game, interventions, read):
    """The game's values are those of a pass for each coalition; read takes no argument."""
    values = []
    for mask in all_masks(len(interventions)):
        absent = [one for one, present in zip(interventions, mask, strict=True) if not present]
        with intervene(model, *absent):
            values.append(float(read()))
    expected = torch.tensor(values, dtype=torch.float64)
    assert expected.std() > 1e-3
    assert_same(game.all_values()[0], expected)


SAD, GLAD = "the dog was not happy . it", "the dog was not cruel . it"


def mixed(world, concept):
    """Players of every kind, in no order: two at one site, one before the concept's, a patch at one token."""
    other = cs.capture(world, [GLAD], "mlp_out.1", position="all")
    return [
        concept.add(2.0, positions="last"),
        patch(other, positions=4),
        concept.erase(),
        zero_ablate("z.3.1"),
        cs.resample_ablate(cs.capture(world, [SAD, GLAD], "attn_out.2"), positions="first|last"),
    ]


def test_interventions_of_every_kind_act_where_their_player_is_absent(world, concept):
    players = mixed(world, concept)
    game = latent_game(world, SAD, LogOdds("cried"), players)
    assert game.path.startswith("layer by layer")
    token = world.tokenizer("cried", add_special_tokens=False)["input_ids"][0]
    assert_is_played(world, game, players, lambda: log_odds(logits_after(world, SAD), token))


def test_sites_and_concepts_are_shorthands(world, concept):
    given = ["mlp_out.-1", Site("z", 2, 0), concept]
    game = latent_game(world, SAD, LogOdds("cried"), given, ablate="zero")
    last = world.n_layers - 1
    assert game.players == (f"mlp_out.{last}", "z.2.0", f"{concept.name} at resid_post.2")
    meant = [zero_ablate(f"mlp_out.{last}"), zero_ablate("z.2.0"), concept.erase()]
    assert torch.equal(game.all_values(), latent_game(world, SAD, LogOdds("cried"), meant).all_values())
    assert game.baseline == "zero; concepts erased"


def test_the_mean_is_over_given_examples_or_the_text_itself(world):
    for examples, texts in ((None, [SAD]), ([GLAD, "she will"], [GLAD, "she will"])):
        game = latent_game(world, SAD, LogOdds("cried"), ["mlp_out.2"], examples=examples)
        mean = mean_ablate(cs.capture(world, texts, "mlp_out.2", position="all"))
        by_function = latent_game(
            world, SAD, LogOdds("cried"), ["mlp_out.2"], ablate=lambda site, mean=mean: mean
        )
        assert torch.equal(game.all_values(), by_function.all_values())


def test_several_targets_are_read_from_the_same_passes(world, concept):
    """A word of two tokens, a difference, a reading that is made before the last players act, a function."""
    targets = [LogOdds(["cried", "."]), LogitDifference("cried", "smiled"), concept, lambda x: x[:, 5]]
    players = [*mixed(world, concept)[:3], zero_ablate("mlp_out.3")]
    found = latent_game(world, SAD, targets, players).all_values()
    alone = [latent_game(world, SAD, target, players).all_values()[0] for target in targets]
    assert torch.allclose(found, torch.stack(alone), atol=1e-5)
    assert_is_played(
        world,
        latent_game(world, SAD, concept, players),
        players,
        lambda: concept.read(cs.capture(world, [SAD], concept.site))[0],
    )


def test_tokens_that_the_model_is_made_to_say_are_generated_ones(world):
    ids = [world.tokenizer(token, add_special_tokens=False)["input_ids"][0] for token in ("cried", ".")]
    players = [zero_ablate("mlp_out.2", positions="generated"), zero_ablate("z.3.0", positions="prompt")]

    def read():
        first = log_odds(logits_after(world, SAD), ids[0])
        prompt = world.tokenizer(SAD)["input_ids"]
        with inference(world.hf):
            cached = world.hf(torch.tensor([prompt]), use_cache=True).past_key_values
            logits = world.hf(torch.tensor([ids[:1]]), past_key_values=cached).logits[0, -1].double()
        return first + log_odds(logits, ids[1])

    assert_is_played(world, latent_game(world, SAD, LogOdds(ids), players), players, read)


def test_interventions_around_it_act_first_and_a_stage_begins_no_later(world, concept):
    players = [zero_ablate("mlp_out.2"), zero_ablate("mlp_out.3"), concept.erase()]
    game = latent_game(world, SAD, LogOdds(7), players)
    plain = game.all_values()
    with intervene(world, cs.add_vector("mlp_out.1", torch.ones(world.d_model))):
        assert "before layer 1 once" in game.path
        assert_is_played(world, game, players, lambda: log_odds(logits_after(world, SAD), 7))
        assert not torch.allclose(game.all_values(), plain, atol=1e-2)
    assert torch.equal(game.all_values(), plain)
    with intervene(world, zero_ablate("mlp_out.0")):
        assert game.path == "batches: a player, a target or another's hook is in the first block"
        assert_is_played(world, game, players, lambda: log_odds(logits_after(world, SAD), 7))


def test_some_coalitions_in_any_order_and_twice(world):
    game = latent_game(world, SAD, LogOdds(7), ["z.3.0", "mlp_out.1", "z.2.1", "mlp_out.2"])
    every, told = game.all_values(), []
    numbers = torch.tensor([7, 0, 15, 7, 3, 9])
    found = game.values(all_masks(4)[numbers], told.append)
    assert torch.allclose(found, every[:, numbers], atol=1e-5)
    assert sum(told) == 6


def test_more_coalitions_than_a_batch_holds(world):
    players = [f"z.{layer}.{head}" for layer in (1, 3) for head in range(world.n_heads)][:8]
    game = latent_game(world, SAD, LogOdds(7), players)
    masks = all_masks(len(players))[::37]
    few = torch.cat([game.values(mask[None]) for mask in masks], 1)
    assert torch.allclose(game.all_values()[:, ::37], few, atol=1e-5)


@pytest.mark.architectures("gpt_neox", "falcon")
def test_what_is_added_side_by_side_does_not_interact(architecture, tiny):
    """In a parallel block the attention and the MLP add up, and a reading after it is linear in both."""
    model = tiny(architecture)
    direction = torch.linspace(-1, 1, model.d_model)[None]
    after = cs.Concept(direction, site="resid_post.1", model_name=model.name)
    game = latent_game(model, TEXT, after, ["attn_out.1", "mlp_out.1"], ablate="zero")
    _, attention, mlp, both = moebius(game.all_values())[0].tolist()
    assert abs(both) < 1e-4
    assert min(abs(attention), abs(mlp)) > 1e-2


def test_a_player_that_changes_nothing_is_in_no_interaction(world):
    idle = Intervention("resid_post.1", lambda x, where: x, name="idle")
    game = latent_game(world, SAD, LogOdds(7), ["mlp_out.1", idle, "mlp_out.3"])
    effects = moebius(game.all_values())[0]
    assert effects[all_masks(3)[:, 1]].abs().max() < 1e-4
    assert effects[[1, 4, 5]].abs().min() > 1e-3


def test_a_condition_is_judged_for_each_coalition_by_itself(world, concept):
    reading = float(concept.read(cs.capture(world, [SAD], concept.site))[0])
    player = cs.when(
        concept, reading - 0.01, cs.add_vector("resid_post.3", torch.ones(world.d_model)), at="last"
    )
    players = [zero_ablate("mlp_out.1"), player]
    game = latent_game(world, SAD, LogOdds(7), players)
    assert game.path == "batches: one coalition at a time, as a player acts on a condition"
    assert_is_played(world, game, players, lambda: log_odds(logits_after(world, SAD), 7))


@pytest.mark.architectures("gpt2")
def test_transformer_lens_runs_whole_batches(architecture, tiny):
    plain, bridge = tiny(architecture), tiny(architecture, "bridge")
    games = [latent_game(model, TEXT, LogOdds(17), ["z.1.0", "mlp_out.2"]) for model in (plain, bridge)]
    assert games[1].path == "batches: the model's blocks cannot be run from the middle"
    assert_same(games[1].all_values(), games[0].all_values())


def test_blocks_that_pass_something_on_in_secret_are_found_out(build):
    """Block 2 uses what block 0 gave in this pass: to begin at block 2 would be wrong, and is not done."""
    hf, tokenizer = build("gpt2")
    first, last, seen = hf.transformer.h[0], hf.transformer.h[2], {}
    run_first, run_last = first.mlp.forward, last.mlp.forward
    first.mlp.forward = lambda x: seen.setdefault(len(x), run_first(x))
    last.mlp.forward = lambda x: run_last(x) + seen.pop(len(x), 0.0)
    model = cs.load_model(hf, tokenizer=tokenizer)
    players = [zero_ablate("z.1.0"), zero_ablate("mlp_out.1")]
    game = latent_game(model, TEXT, LogOdds(17), players)
    found = game.all_values()[0]
    assert game.path == "batches: blocks run from the middle do not give what whole forward passes give"
    assert_same(found, one_at_a_time(model, TEXT, players, lambda logits: log_odds(logits, 17)))


def test_the_model_is_left_as_it_was(world, concept):
    before = next_token_logits(world, [SAD])

    def fails(x, where):
        raise RuntimeError("in the middle")

    game = latent_game(world, SAD, LogOdds(7), ["mlp_out.1", Intervention("mlp_out.3", fails)])
    with pytest.raises(RuntimeError, match="in the middle"):
        game.all_values()
    assert all("forward" not in module.__dict__ for module in world.hf.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in world.hf.modules())
    assert torch.equal(next_token_logits(world, [SAD]), before)


def test_what_it_says_of_itself(world):
    game = latent_game(world, SAD, LogOdds("cried"), ["mlp_out.2", "z.3.0"])
    assert game.players == ("mlp_out.2", "z.3.0")
    assert game.targets == ("log-odds of 'cried'",)
    assert game.baseline == "the mean over the text's own tokens"
    assert game.tokens[-1].strip() == "it"
    assert repr(game) == (
        "LatentGame('the dog was not happy . it', 2 players, layer by layer: what comes before layer 2 once)"
    )


@pytest.mark.parametrize(
    ("players", "options", "error", "says"),
    [
        ([], {}, ValueError, "there are no players: give some"),
        ("mlp_out.2", {}, TypeError, r"expected a list of players, got one: write \['mlp_out.2'\]"),
        ([3], {}, TypeError, "a player inside a model is a site, a concept or an intervention, got 3"),
        (["embed"], {}, ValueError, "the player 'embed' is at the embedding, where a text's words are"),
        (["z.1.0", "z.1.0"], {}, ValueError, "the player 'z.1.0' is given twice"),
        (["mlp_out.-1", "mlp_out.3"], {}, ValueError, "the player 'mlp_out.3' is given twice"),
        (["mlp_out.99"], {}, ValueError, "there is no site 'mlp_out.99': tinyworld has the layers 0 to"),
        (["z.1.99"], {}, ValueError, "there is no site 'z.1.99': tinyworld has the heads 0 to"),
        (["mlp"], {}, ValueError, "unknown site"),
        (["z.1.0"], {"ablate": "median"}, ValueError, "ablate must be 'mean', 'zero' or a function"),
        (["z.1.0"], {"ablate": lambda site: 0}, TypeError, "must give an intervention for each site"),
        (["z.1.0"], {"ablate": "zero", "examples": ["she will"]}, ValueError, "examples= are for the mean"),
    ],
)
def test_players_that_cannot_play(world, players, options, error, says):
    with pytest.raises(error, match=says):
        latent_game(world, SAD, LogOdds(7), players, **options)


def test_a_concept_of_another_model(world, concept):
    other = dataclasses.replace(concept, model_name="another")
    with pytest.raises(ValueError, match="made from a concept of 'another', and the model is 'tinyworld'"):
        latent_game(world, SAD, LogOdds(7), [other])


def test_interventions_that_would_be_called_alike(world):
    alike = [zero_ablate("mlp_out.2"), zero_ablate("mlp_out.2")]
    with pytest.raises(ValueError, match=r"'zero ablation at mlp_out\.2' is given twice: leave one out or"):
        latent_game(world, SAD, LogOdds(7), alike)
    named = [alike[0], dataclasses.replace(alike[1], name="again")]
    assert latent_game(world, SAD, LogOdds(7), named).players[1] == "again at mlp_out.2"


def test_more_players_than_are_played_exactly_play_some_coalitions(world):
    players = [f"z.{n}.{h}" for n in range(world.n_layers) for h in range(world.n_heads)]
    players += [f"{kind}.{n}" for kind in ("mlp_out", "attn_out", "resid_mid") for n in range(world.n_layers)]
    game = latent_game(world, SAD, LogOdds(7), players)
    assert len(players) > 20
    assert game.values(torch.ones(2, len(players), dtype=torch.bool)).shape == (1, 2)
    with pytest.raises(ValueError, match=rf"{len(players)} players have 2\^{len(players)} coalitions"):
        game.all_values()
    with pytest.raises(ValueError, match="masks must be booleans of shape"):
        game.values(torch.ones(2, 3, dtype=torch.bool))

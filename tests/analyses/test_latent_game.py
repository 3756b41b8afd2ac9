"""Games of a model's parts, against one forward pass under intervene() for each coalition."""

import torch

import conceptscope as cs
from conceptscope.analyses._game import all_masks
from conceptscope.analyses._latent_game import latent_game
from conceptscope.analyses._targets import LogOdds
from conceptscope.hooks import intervene, mean_ablate
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

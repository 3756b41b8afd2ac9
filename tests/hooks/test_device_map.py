"""Models whose layers lie in different places, as accelerate puts them."""

import pytest
import torch

from conceptscope.hooks import (
    AffineEdit,
    Examples,
    Intervention,
    add_vector,
    bake,
    capture,
    generate,
    intervene,
    load_model,
    mean_ablate,
    next_token_logits,
    zero_ablate,
)
from conceptscope.probes import MeanDifference, sweep

PREFIX = "Once there was a small dog that lived in a large house near the river with many other animals and"
PARTS = {
    "llama": (["model.embed_tokens"], "model.layers", ["model.norm", "model.rotary_emb", "lm_head"]),
    "gpt2": (["transformer.wte", "transformer.wpe"], "transformer.h", ["transformer.ln_f", "lm_head"]),
}


def placed(architecture, first, blocks, last):
    """A device_map."""
    before, middle, after = PARTS[architecture]
    found = dict.fromkeys(before, first) | dict.fromkeys(after, last)
    return found | {f"{middle}.{layer}": place for layer, place in enumerate(blocks)}


MAPS = {
    "auto": lambda architecture: "auto",
    "disk between": lambda architecture: placed(architecture, "cpu", ["cpu", "disk", "cpu"], "cpu"),
    "disk around": lambda architecture: placed(architecture, "disk", ["disk", "cpu", "disk"], "disk"),
}


@pytest.fixture(scope="module")
def models(save, tmp_path_factory):
    """The same model spread by a map and in one place, for each architecture and map."""
    folders, made = {}, {}

    def both(architecture, where):
        if architecture not in folders:
            folders[architecture] = save(architecture)
        if (architecture, where) not in made:
            path, offloaded = folders[architecture], tmp_path_factory.mktemp("offloaded")
            spread = load_model(path, device_map=MAPS[where](architecture), offload_folder=offloaded)
            made[architecture, where] = spread, load_model(path)
        return made[architecture, where]

    return both


@pytest.fixture(params=list(MAPS))
def where(request):
    return request.param


both = pytest.mark.architectures("llama", "gpt2")


def close(a, b):
    return set(a) == set(b) and all(torch.allclose(a[key], b[key], atol=1e-6) for key in b)


def placement(model):
    """What accelerate put on each module, and which weights are not in memory; a tied one may count twice."""
    hooks = {
        path: repr(module._hf_hook)
        for path, module in model.hf.named_modules()
        if hasattr(module, "_hf_hook")
    }
    return hooks, {
        name for name, weight in model.hf.named_parameters(remove_duplicate=False) if weight.is_meta
    }


@both
def test_captures_are_those_of_the_model_in_one_place(models, sentences, architecture, where):
    spread, plain = models(architecture, where)
    before = placement(spread)
    sites = [site for kind in plain.kinds for site in plain.sites(kind)]
    for position in ("last", "mean", "all"):
        assert close(*(capture(model, sentences, sites, position=position) for model in (spread, plain)))
    for kind in ("resid_mid", "z"):  # the last layer's modules do not run to their end
        assert close(*(capture(model, sentences, kind) for model in (spread, plain)))
    texts = [f"{PREFIX} {text}" for text in sentences[:4]]
    assert close(*(capture(model, texts, "resid_post", position="all") for model in (spread, plain)))
    assert placement(spread) == before


@both
def test_interventions_and_generation_are_those_of_the_model_in_one_place(
    models, sentences, architecture, where
):
    spread, plain = models(architecture, where)
    before = placement(spread)
    found = []
    for model in (spread, plain):
        edits = (
            add_vector("resid_post.0", torch.ones(model.d_model)),
            add_vector("resid_mid.1", torch.ones(model.d_model), "last"),
            zero_ablate("z.1.2"),
            mean_ablate(capture(model, sentences, "mlp_out.2"), positions="last"),
        )
        with intervene(model, *edits):
            texts = generate(model, sentences[:4], max_new_tokens=5, temperature=1.0)
            found.append(
                (texts, next_token_logits(model, sentences), capture(model, sentences, "resid_post"))
            )
    assert found[0][0] == found[1][0]
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)
    assert close(found[0][2], found[1][2])
    assert placement(spread) == before


@both
def test_concepts_are_found_baked_and_read_off_the_unembedding(models, sentences, architecture, where):
    spread, plain = models(architecture, where)
    data = Examples(sentences[:8], labels=["a", "b"] * 4)
    found = []
    for model in (spread, plain):
        acts = capture(model, data, "resid_post")
        swept = sweep(acts, MeanDifference(), folds=2)
        concept = MeanDifference().fit(acts, "resid_post.1")
        found.append((swept.to_frame().drop(columns="site"), concept.top_tokens(model), concept))
    (table, tokens, concept), (wanted, wanted_tokens, _) = found
    assert (table - wanted).abs().max(axis=None) < 1e-6
    assert [token for token, _ in tokens] == [token for token, _ in wanted_tokens]
    ids = torch.tensor([[20, 21, 22, 23]])
    with intervene(plain, concept.add(1.0)):
        steered = plain.hf(ids).logits
    baked = bake(spread, concept.add(1.0))
    assert torch.allclose(baked(ids).logits, steered, atol=1e-4)
    assert {weight.device.type for weight in baked.parameters()} == {"cpu"}


@pytest.mark.architectures("gpt2")
def test_a_tied_embedding_that_is_baked_is_tied_no_longer(models, architecture):
    spread, plain = models(architecture, "disk around")
    eye = torch.eye(plain.d_model)
    larger = Intervention("embed", AffineEdit(torch.zeros(plain.d_model), eye, eye / 2))
    ids = torch.tensor([[20, 21, 22, 23]])
    found, wanted = (bake(model, larger) for model in (spread, plain))
    assert not found.config.tie_word_embeddings
    assert torch.allclose(found(ids).logits, wanted(ids).logits, atol=1e-6)


@both
def test_inputs_go_where_an_embedding_on_disk_computes(models, architecture):
    assert models(architecture, "disk around")[0].device == torch.device("cpu")
    assert models(architecture, "disk around")[0].hf.get_input_embeddings().weight.is_meta


def test_a_bridge_runs_a_model_that_is_spread(models, sentences):
    spread, plain = models("llama", "disk between")
    bridged = load_model(spread.hf, tokenizer=spread.tokenizer, backend="bridge")
    found, wanted = (capture(model, sentences, ["resid_post.1", "z.2"]) for model in (bridged, plain))
    assert all(torch.allclose(found[site], wanted[site], atol=1e-4) for site in wanted)


def test_a_map_that_is_none_is_refused(save):
    with pytest.raises(ValueError, match=r"device_map='nowhere' is refused: .* 'auto'"):
        load_model(save("llama"), device_map="nowhere")

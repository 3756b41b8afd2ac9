"""Masked texts in batches against forward passes written by hand."""

import pytest
import torch

import conceptscope as cs
from conceptscope.analyses._game import all_masks
from conceptscope.analyses._targets import ClassLogOdds, LogitDifference, LogOdds, Similarity
from conceptscope.analyses._text_game import text_game
from conceptscope.hooks import load_model

TEXT = "The dog was not happy about the rain"
PLAYERS = ["dog", "not", "happy", "rain"]


def first_logit(logits):
    return logits[:, 7]


def inputs_of(model, ids):
    return {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}


@torch.no_grad()
def by_hand(model, game, present, **more):
    """The logits at the last token, by inputs_embeds, for one coalition with the mean as the baseline."""
    ids = torch.tensor(model.tokenizer(TEXT)["input_ids"])
    embed = model.hf.get_input_embeddings()
    x, mean = embed(ids), embed(torch.arange(400)).mean(0)
    for span, here in zip(game.spans, present, strict=True):
        if not here:
            x[list(span)] = mean
    return model.hf(inputs_embeds=x[None], **more).logits[0, -1]


def test_with_all_players_it_is_the_plain_forward_pass(tiny, architecture):
    model = tiny(architecture)
    target = first_logit if model.generates else Similarity("She walked home.")
    game = text_game(model, TEXT, [target, target], players=PLAYERS)
    inputs = inputs_of(model, model.tokenizer(TEXT)["input_ids"])
    with torch.no_grad():
        if model.generates:
            true = model.hf(**inputs).logits[0, -1, 7]
        else:
            ids = [model.tokenizer(text)["input_ids"] for text in (TEXT, "She walked home.")]
            states = [model.hf(**inputs_of(model, one), output_hidden_states=True) for one in ids]
            whole = [one.hidden_states[-1][0].mean(0) for one in states]
            true = torch.cosine_similarity(*whole, dim=0)
    found = game.values(torch.ones(1, 4, dtype=torch.bool))
    assert torch.allclose(found, true.double(), atol=1e-5)


@pytest.mark.architectures("gpt2", "llama", "opt", "gemma2", "falcon", "bloom", "mamba", "gpt_neox")
def test_any_coalition_is_a_forward_pass_by_inputs_embeds(tiny, architecture):
    model = tiny(architecture)
    game = text_game(model, TEXT, [first_logit, LogitDifference(3, 9)], players=PLAYERS)
    masks = all_masks(4)[[0, 5, 6, 11]]
    found = game.values(masks)
    for column, present in enumerate(masks):
        logits = by_hand(model, game, present)
        true = torch.stack([logits[7], logits[3] - logits[9]]).double()
        assert torch.allclose(found[:, column], true, atol=1e-4)


@pytest.mark.architectures("gpt2", "llama", "opt", "gptj", "phi")
def test_removal_is_an_attention_mask_with_positions_that_stay(tiny, architecture):
    model = tiny(architecture)
    game = text_game(model, TEXT, first_logit, players=PLAYERS[:3], baseline="attention")
    ids = model.tokenizer(TEXT)["input_ids"]
    for number, value in enumerate(game.all_values()[0]):
        inputs = inputs_of(model, ids) | {"position_ids": torch.arange(len(ids))[None]}
        for player, span in enumerate(game.spans):
            if not number >> player & 1:
                inputs["attention_mask"][0, list(span)] = 0
        with torch.no_grad():
            true = model.hf(**inputs).logits[0, -1, 7]
        assert torch.allclose(value, true.double(), atol=1e-4)


def test_removal_does_not_depend_on_what_is_removed(world):
    texts = ["the dog was not happy about it", "the cat was never happy about it"]
    empty = [
        text_game(world, text, LogOdds("happy"), baseline="attention", players=[text[4:7]]).values(
            torch.zeros(1, 1, dtype=torch.bool)
        )
        for text in (texts[0], texts[0].replace("dog", "cat"))
    ]
    assert torch.allclose(*empty, atol=1e-5)


def test_several_tokens_are_teacher_forced_after_the_masked_text(tiny):
    model = tiny("gpt2")
    targets = [LogOdds(5), LogOdds([7, 9, 11]), LogOdds([7, 12]), LogOdds([8, 2])]
    game = text_game(model, TEXT, targets, players=PLAYERS)
    found = game.values(torch.ones(1, 4, dtype=torch.bool))[:, 0]
    ids = model.tokenizer(TEXT)["input_ids"]
    for value, tokens in zip(found, ([5], [7, 9, 11], [7, 12], [8, 2]), strict=True):
        with torch.no_grad():
            logits = model.hf(torch.tensor([[*ids, *tokens[:-1]]])).logits[0, len(ids) - 1 :].double()
        true = sum(row.softmax(-1)[token].logit() for row, token in zip(logits, tokens, strict=True))
        assert torch.allclose(value, true, atol=1e-5)


def test_a_concept_is_read_at_its_site_and_position(world, sentiment):
    acts = cs.capture(world, sentiment[:40], "resid_post.2", position="mean")
    concept = cs.MeanDifference().fit(acts)
    text = "the dog was not happy about it"
    game = text_game(world, text, [concept, LogOdds("happy")])
    true = concept.read(cs.capture(world, [text], "resid_post.2", position="mean"))
    assert torch.allclose(game.values(torch.ones(1, 3, dtype=torch.bool))[0], true[:, 0].double(), atol=1e-4)


def test_an_intervention_around_it_applies(world):
    text, push = "the dog was not happy about it", cs.add_vector("resid_post.1", torch.arange(128.0), "last")
    game = text_game(world, text, lambda logits: logits[:, 7])
    full = torch.ones(1, 3, dtype=torch.bool)
    before = game.values(full)
    with cs.intervene(world, push):
        true, found = cs.next_token_logits(world, [text])[0, 7], game.values(full)
    assert torch.allclose(found, true.double(), atol=1e-5)
    assert not torch.allclose(found, before, atol=1e-2)


def test_a_classifier_gives_the_log_odds_of_a_class(build):
    hf, tokenizer = build("bert", "BertForSequenceClassification", num_labels=3)
    model = load_model(hf, tokenizer=tokenizer)
    found = text_game(model, TEXT, ClassLogOdds("LABEL_2"), players=PLAYERS).all_values()
    with torch.no_grad():
        logits = model.hf(**inputs_of(model, tokenizer(TEXT)["input_ids"])).logits[0]
    assert torch.allclose(found[0, -1], logits.double().softmax(-1)[2].logit(), atol=1e-5)
    assert found.std() > 1e-4


def test_a_masked_language_model_says_a_token_at_its_mask(tiny):
    model, text = tiny("bert"), "The dog was [MASK] about the rain"
    found = text_game(model, text, LogOdds(7), players=["dog", "rain"]).all_values()
    ids = model.tokenizer(text)["input_ids"]
    with torch.no_grad():
        logits = model.hf(**inputs_of(model, ids)).logits[0, ids.index(model.tokenizer.mask_token_id)]
    assert torch.allclose(found[0, -1], logits.double().softmax(-1)[7].logit(), atol=1e-5)
    with pytest.raises(ValueError, match=r"needs one \[MASK\], and has 0"):
        text_game(model, TEXT, LogOdds(7))


def test_a_bridge_gives_the_same(tiny):
    plain, bridged = (
        text_game(tiny("gpt2", backend), TEXT, LogOdds(7), players=PLAYERS) for backend in ("torch", "bridge")
    )
    assert torch.allclose(plain.all_values(), bridged.all_values(), atol=1e-4)
    assert bridged.path.startswith("batches: ")


def test_a_text_without_room_for_the_targets_tokens_is_refused(tiny):
    with pytest.raises(ValueError, match="positions for 128"):
        text_game(tiny("gpt2"), "dog " * 40, LogOdds([3] * 100))


def test_removal_where_the_target_is_read_is_refused(world):
    with pytest.raises(ValueError, match=r"cannot remove 'happy'.*fixed="):
        text_game(world, "the dog was not happy", LogOdds("happy"), baseline="attention")


def test_a_failing_target_leaves_no_hook(world):
    def fails(logits):
        raise RuntimeError("on purpose")

    game = text_game(world, "the dog was not happy", fails)
    with pytest.raises(RuntimeError, match="on purpose"):
        game.all_values()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in world.hf.modules())

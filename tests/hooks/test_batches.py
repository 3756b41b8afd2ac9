import pytest
import torch

from conceptscope.hooks._batches import batches, pad, pads
from conceptscope.hooks._prompts import Prompt, encode


def prompt(length):
    return Prompt("x", tuple(range(length)), tuple(range(length)))


def test_batches_hold_every_prompt_once_with_neighbours_in_length():
    lengths = [3, 9, 1, 4, 9, 2, 7, 3]
    found = batches([prompt(n) for n in lengths], 3)
    assert sorted(i for batch in found for i in batch) == list(range(8))
    assert [len(batch) for batch in found] == [3, 3, 2]
    assert [lengths[i] for batch in found for i in batch] == sorted(lengths, reverse=True)


def test_prompts_of_one_length_keep_their_order():
    assert batches([prompt(4)] * 5, 2) == [[0, 1], [2, 3], [4]]


def test_equal_batches_hold_one_length_each():
    lengths = [2, 3, 2, 3, 3]
    found = batches([prompt(n) for n in lengths], 2, equal=True)
    assert [[lengths[i] for i in batch] for batch in found] == [[3, 3], [3], [2, 2]]


def test_without_a_size_a_batch_is_filled_by_tokens():
    found = batches([prompt(1000)] * 6 + [prompt(10)] * 10)
    assert [len(batch) for batch in found] == [4, 4, 8]
    assert batches([prompt(10_000)] * 2) == [[0], [1]]


@pytest.mark.parametrize("size", [0, -1, 2.5, "8", True])
def test_a_wrong_batch_size_is_refused(size):
    with pytest.raises(ValueError, match="batch_size must be a positive whole number"):
        batches([prompt(2)], size)


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_is_masked_and_starts_say_where_it_ends(tiny, sentences, side):
    model = tiny("llama")
    prompts = encode(model, sentences)
    batch = pad(model, prompts, side)
    for row, (one, start) in enumerate(zip(prompts, batch.starts, strict=True)):
        mask = batch.inputs["attention_mask"][row].bool()
        assert batch.inputs["input_ids"][row][mask].tolist() == list(one.ids)
        assert mask.nonzero()[0].item() == start
    assert (max(batch.starts) == 0) == (side == "right")


def test_a_model_without_a_pad_token_is_padded(tiny, sentences):
    model = tiny("gpt2")
    assert model.tokenizer.pad_token is None
    assert pad(model, encode(model, sentences), "left").inputs["input_ids"].shape == (9, 33)
    assert model.tokenizer.pad_token is None


def test_positions_are_written_only_where_left_padding_shifts_them(tiny, sentences):
    gpt2, roberta, bloom = tiny("gpt2"), tiny("roberta"), tiny("bloom")
    prompts = encode(gpt2, sentences)
    assert "position_ids" not in pad(gpt2, prompts, "right").inputs
    assert "position_ids" not in pad(gpt2, prompts[:1] * 3, "left").inputs
    assert pad(gpt2, prompts, "left").inputs["position_ids"][1].tolist() == [0] * 27 + [0, 1, 2, 3, 4, 5]
    for counts_itself in (roberta, bloom):
        found = pad(counts_itself, encode(counts_itself, sentences), "left").inputs
        assert "position_ids" not in found


def test_only_a_model_that_takes_no_mask_cannot_be_padded(tiny, monkeypatch):
    model = tiny("mamba")
    assert pads(model, "right")
    assert pads(model, "left")
    monkeypatch.setattr(type(model), "accepts", lambda self, argument: False)
    assert pads(model, "right")  # what comes later does not change what a causal model has read
    assert not pads(model, "left")
    assert not pads(tiny("bert"), "right")
    assert set(pad(model, [prompt(2)]).inputs) == {"input_ids"}


def test_inputs_are_on_the_device_of_the_model(build, tokenizer_for):
    from conceptscope.hooks import load_model

    hf, tokenizer = build("llama")
    model = load_model(hf.to("meta"), tokenizer=tokenizer)
    assert all(tensor.device == torch.device("meta") for tensor in pad(model, [prompt(3)]).inputs.values())

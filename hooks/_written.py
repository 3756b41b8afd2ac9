"""Prompts with what was written after them, as one input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from conceptscope.hooks._batches import PaddedBatch


def with_written(batch: PaddedBatch, written: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """The inputs of a batch that is padded on the left, with each prompt's written tokens behind it.

    Behind fewer tokens than the longest come some that mean nothing.
    """
    ids = batch.inputs["input_ids"]
    behind = pad_sequence([torch.tensor(tokens, dtype=torch.long) for tokens in written], batch_first=True)
    new = behind.shape[1]
    found = {"input_ids": torch.cat([ids, behind.to(ids)], 1)}
    if "attention_mask" in batch.inputs:
        found["attention_mask"] = pad(batch.inputs["attention_mask"], (0, new), value=1)
    if "position_ids" in batch.inputs:
        at = batch.inputs["position_ids"]
        found["position_ids"] = torch.cat([at, at[:, -1:] + 1 + torch.arange(new, device=at.device)], 1)
    return found

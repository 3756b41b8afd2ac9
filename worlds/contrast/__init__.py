"""Contrast sets in natural English for open pretrained models, written by hand in minimal pairs."""

from conceptscope.worlds.contrast._reader import NAMES, ContrastSet, examples

__all__ = ["NAMES", "ContrastSet", "examples"]

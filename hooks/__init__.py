"""Models, sites, capture, interventions and generation."""

from conceptscope.hooks._activation_patching import activation_patching, path_patching
from conceptscope.hooks._activations import Activations
from conceptscope.hooks._affine_edit import AffineEdit
from conceptscope.hooks._attribution_patching import attribution_patching, faithfulness
from conceptscope.hooks._bake import bake
from conceptscope.hooks._capture import capture
from conceptscope.hooks._example_stream import ExampleStream
from conceptscope.hooks._examples import Examples
from conceptscope.hooks._generate import generate, next_token_logits
from conceptscope.hooks._interchange import interchange
from conceptscope.hooks._intervene import intervene
from conceptscope.hooks._interventions import Intervention, add_vector
from conceptscope.hooks._load import load_model
from conceptscope.hooks._load_examples import load_examples
from conceptscope.hooks._mean_ablate import mean_ablate
from conceptscope.hooks._model import HookedModel
from conceptscope.hooks._patch import patch
from conceptscope.hooks._ray_engine import RayEngine
from conceptscope.hooks._resample_ablate import resample_ablate
from conceptscope.hooks._running import Where
from conceptscope.hooks._schedule import schedule
from conceptscope.hooks._site import HEAD_KINDS, KINDS, Site
from conceptscope.hooks._zero_ablate import zero_ablate

__all__ = [
    "HEAD_KINDS",
    "KINDS",
    "Activations",
    "AffineEdit",
    "ExampleStream",
    "Examples",
    "HookedModel",
    "Intervention",
    "RayEngine",
    "Site",
    "Where",
    "activation_patching",
    "add_vector",
    "attribution_patching",
    "bake",
    "capture",
    "faithfulness",
    "generate",
    "interchange",
    "intervene",
    "load_examples",
    "load_model",
    "mean_ablate",
    "next_token_logits",
    "patch",
    "path_patching",
    "resample_ablate",
    "schedule",
    "zero_ablate",
]

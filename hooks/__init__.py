"""Models, sites, capture, interventions and generation."""

from conceptscope.hooks._activations import Activations
from conceptscope.hooks._examples import Examples
from conceptscope.hooks._load_examples import load_examples
from conceptscope.hooks._site import HEAD_KINDS, KINDS, Site

__all__ = ["HEAD_KINDS", "KINDS", "Activations", "Examples", "Site", "load_examples"]

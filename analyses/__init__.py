"""Analyses of what a model computes: interactions, convexity, geometry, dynamics, identifiability."""

from conceptscope.analyses._baselines import Baseline
from conceptscope.analyses._calibrate import calibrate
from conceptscope.analyses._callback import ConceptCallback, ConceptWatch
from conceptscope.analyses._card_result import ConceptCard
from conceptscope.analyses._checkpoints import Checkpoints, checkpoints
from conceptscope.analyses._concept_card import concept_card
from conceptscope.analyses._conditions import Conditions
from conceptscope.analyses._convexity import convexity
from conceptscope.analyses._convexity_performance import ConvexityPerformance, convexity_vs_performance
from conceptscope.analyses._convexity_result import Convexity
from conceptscope.analyses._dose_response import dose_response
from conceptscope.analyses._dose_result import DoseResponse
from conceptscope.analyses._effects import Effect
from conceptscope.analyses._formula_result import Formula
from conceptscope.analyses._helix_check import ShiftCheck, check_helix_shift
from conceptscope.analyses._helix_diagnostics import HelixDiagnostics, helix_diagnostics
from conceptscope.analyses._helix_periods import select_periods
from conceptscope.analyses._helix_result import NumberHelix
from conceptscope.analyses._helix_shift import helix_shift
from conceptscope.analyses._hidden_capability import hidden_capability
from conceptscope.analyses._hidden_capability_model import Promptable
from conceptscope.analyses._hidden_capability_result import HiddenCapability
from conceptscope.analyses._hidden_capability_target import Target
from conceptscope.analyses._identifiability import IdentifiabilityReport, identifiability
from conceptscope.analyses._interaction_graph import plot_interaction_graph
from conceptscope.analyses._interaction_statistics import interaction_statistics
from conceptscope.analyses._interactions import interactions
from conceptscope.analyses._interactions_result import Interactions
from conceptscope.analyses._learned_baseline import learned_baseline
from conceptscope.analyses._mask_concept import mask_concept
from conceptscope.analyses._match_terms import match_terms
from conceptscope.analyses._number_helix import fit_number_helix
from conceptscope.analyses._number_texts import number_examples
from conceptscope.analyses._overprompt import overprompt, repeat_spans
from conceptscope.analyses._patch_module import patch_module
from conceptscope.analyses._readout import ReadoutContributions, readout_contributions
from conceptscope.analyses._recovery import ConceptRecovery, concept_recovery
from conceptscope.analyses._report_result import SteeringReport
from conceptscope.analyses._rest_of_model import rest_of_model
from conceptscope.analyses._signal import ConceptSignal, concept_signal
from conceptscope.analyses._signal_law import SignalLaw, signal_law
from conceptscope.analyses._sparse_formula import sparse_formula
from conceptscope.analyses._sparse_interactions import SparseInteractions
from conceptscope.analyses._statistics_result import InteractionStatistics
from conceptscope.analyses._steering_report import steering_report
from conceptscope.analyses._target_at import target_at
from conceptscope.analyses._targets import ClassLogOdds, LogitDifference, LogOdds, Similarity
from conceptscope.analyses._term_matches import TermMatches
from conceptscope.analyses._topography import latent_topography
from conceptscope.analyses._topography_along import CurveTopography, topography_along
from conceptscope.analyses._topography_result import Topography
from conceptscope.analyses._trajectory import trajectory
from conceptscope.analyses._trajectory_result import Trajectory
from conceptscope.analyses._trajectory_times import LearningTime, learning_time
from conceptscope.analyses._unlock import time_to_unlock

__all__ = [
    "Baseline",
    "Checkpoints",
    "ClassLogOdds",
    "ConceptCallback",
    "ConceptCard",
    "ConceptRecovery",
    "ConceptSignal",
    "ConceptWatch",
    "Conditions",
    "Convexity",
    "ConvexityPerformance",
    "CurveTopography",
    "DoseResponse",
    "Effect",
    "Formula",
    "HelixDiagnostics",
    "HiddenCapability",
    "IdentifiabilityReport",
    "InteractionStatistics",
    "Interactions",
    "LearningTime",
    "LogOdds",
    "LogitDifference",
    "NumberHelix",
    "Promptable",
    "ReadoutContributions",
    "ShiftCheck",
    "SignalLaw",
    "Similarity",
    "SparseInteractions",
    "SteeringReport",
    "Target",
    "TermMatches",
    "Topography",
    "Trajectory",
    "calibrate",
    "check_helix_shift",
    "checkpoints",
    "concept_card",
    "concept_recovery",
    "concept_signal",
    "convexity",
    "convexity_vs_performance",
    "dose_response",
    "fit_number_helix",
    "helix_diagnostics",
    "helix_shift",
    "hidden_capability",
    "identifiability",
    "interaction_statistics",
    "interactions",
    "latent_topography",
    "learned_baseline",
    "learning_time",
    "mask_concept",
    "match_terms",
    "number_examples",
    "overprompt",
    "patch_module",
    "plot_interaction_graph",
    "readout_contributions",
    "repeat_spans",
    "rest_of_model",
    "select_periods",
    "signal_law",
    "sparse_formula",
    "steering_report",
    "target_at",
    "time_to_unlock",
    "topography_along",
    "trajectory",
]

"""Analyses of what a model computes: interactions, convexity, geometry, dynamics, identifiability."""

from conceptscope.analyses._baselines import Baseline
from conceptscope.analyses._calibrate import calibrate
from conceptscope.analyses._card_result import ConceptCard
from conceptscope.analyses._concept_card import concept_card
from conceptscope.analyses._convexity import convexity
from conceptscope.analyses._convexity_result import Convexity
from conceptscope.analyses._dose_response import dose_response
from conceptscope.analyses._dose_result import DoseResponse
from conceptscope.analyses._identifiability import IdentifiabilityReport, identifiability
from conceptscope.analyses._learned_baseline import learned_baseline
from conceptscope.analyses._recovery import ConceptRecovery, concept_recovery
from conceptscope.analyses._report_result import SteeringReport
from conceptscope.analyses._steering_report import steering_report
from conceptscope.analyses._targets import ClassLogOdds, LogitDifference, LogOdds, Similarity

__all__ = [
    "Baseline",
    "ClassLogOdds",
    "ConceptCard",
    "ConceptRecovery",
    "Convexity",
    "DoseResponse",
    "IdentifiabilityReport",
    "LogOdds",
    "LogitDifference",
    "Similarity",
    "SteeringReport",
    "calibrate",
    "concept_card",
    "concept_recovery",
    "convexity",
    "dose_response",
    "identifiability",
    "learned_baseline",
    "steering_report",
]

"""Analyses of what a model computes: interactions, convexity, geometry, dynamics, identifiability."""

"""Analyses of trained policies: what they look at, what they keep, and what is guaranteed."""

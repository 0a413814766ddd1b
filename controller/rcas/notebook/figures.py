"""Figures of a search, drawn by matplotlib from its tables."""

from __future__ import annotations

FIGURES = {}

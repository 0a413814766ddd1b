"""The figures: each a function from a report and a width in pixels to an SVG element."""

from collections.abc import Callable

from rcas.report.figures.path import path
from rcas.report.model import Report

FIGURES: dict[str, Callable[[Report, int], str]] = {"path": path}
"""All of them by name."""

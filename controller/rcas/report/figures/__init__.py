"""The figures: each a function from a report and a width in pixels to an SVG element."""

from collections.abc import Callable

from rcas.report.figures.choices import choices
from rcas.report.figures.durations import durations
from rcas.report.figures.gains import gains
from rcas.report.figures.network import network
from rcas.report.figures.path import path
from rcas.report.figures.spending import spending
from rcas.report.figures.timeline import timeline
from rcas.report.model import Report

FIGURES: dict[str, Callable[[Report, int], str]] = {
    draw.__name__: draw for draw in (path, network, spending, gains, choices, timeline, durations)
}
"""All of them by name."""

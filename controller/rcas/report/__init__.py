"""The report of a search: what it found, whether to trust it, how it got there, what it took.

    gatherer = Gatherer(store)                 # keeps what it has read of results
    report = gatherer.report(head, now)        # a `Report`: plain data, JSON by `report.model_dump_json()`
    html.page(report)                          # a file of its own
    html.main_part(report, live=True)          # the inside of <main> for a page; its style sheet is `html.STYLE`
    figures.FIGURES["path"](report, 720)       # an SVG element in a width in pixels; a file by `plot.standalone`
    tables.TABLES["path"](report).records()    # rows as mappings

`build.build` is the pure function under it, from a head and results. Nothing here needs more than the base install.
"""

from rcas.report.gather import Gatherer
from rcas.report.model import Report, parse_report

__all__ = ["Gatherer", "Report", "parse_report"]

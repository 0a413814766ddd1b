"""A figure of matplotlib that a notebook shows even where nobody has chosen a backend."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class ShownFigure(Figure):
    """What a cell ends with is drawn, without `%matplotlib inline` and without pyplot's list of open figures."""

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png", dpi=80)
        return file.getvalue()

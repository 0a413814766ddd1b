"""A stored search as tables and figures, for a notebook or a script: `rcas.load`."""

from rcas.notebook.loading import LoadedSearch, load_search
from rcas.notebook.tables import Row, Table

__all__ = ["LoadedSearch", "Row", "Table", "load_search"]

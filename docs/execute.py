"""Runs the code of a notebook without Jupyter and writes what it shows into it: `python docs/execute.py NOTEBOOK`.

A test runs the notebooks of examples/ through `executed`, so that they cannot grow stale.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]
SHOWN = {"text/html": "_repr_html_", "image/png": "_repr_png_"}


def executed(notebook: Notebook) -> Notebook:
    """The notebook with what each of its code cells prints and shows, run in order in one namespace.

    What a cell raises goes through.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, count = list[dict[str, Any]](), 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            printed, value = _run("".join(cell["source"]), names, f"cell {count}")
            cell = {**cell, "execution_count": count, "outputs": _outputs(printed, value, count)}
        cells.append(cell)
    return {**notebook, "cells": cells}


def _run(source: str, names: dict[str, Any], where: str) -> tuple[str, Any]:
    """(what the code prints, the value of its last line if that is an expression)."""
    tree = ast.parse(source, where)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, where, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), where, "eval"), names)
    return printed.getvalue(), value


def _outputs(printed: str, value: Any, count: int) -> list[dict[str, Any]]:
    outputs = list[dict[str, Any]]()
    if printed:
        outputs.append({"output_type": "stream", "name": "stdout", "text": printed.splitlines(keepends=True)})
    if value is not None:
        data: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
        for kind, method in SHOWN.items():
            made = getattr(value, method, lambda: None)()
            if isinstance(made, bytes):
                data[kind] = b64encode(made).decode() + "\n"
            elif made:
                data[kind] = made.splitlines(keepends=True)
        outputs.append({"output_type": "execute_result", "execution_count": count, "data": data, "metadata": {}})
    return outputs


if __name__ == "__main__":
    path = Path(sys.argv[1])
    done = executed(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

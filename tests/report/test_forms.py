"""The other forms of a report."""

from __future__ import annotations

import csv
import io
import json
import sys

import pytest

from rcas.errors import InvalidSpec
from rcas.report import Report
from rcas.report.figures import FIGURES
from rcas.report.forms import FORMATS, csv_text, format_of, markdown, written
from rcas.report.table import Column, Table
from rcas.report.tables import TABLES
from report.builders import a_store, report_of


@pytest.fixture(scope="module")
def report() -> Report:
    return report_of(a_store())


@pytest.mark.parametrize("name", TABLES)
def test_a_table_as_csv_has_plain_values(report: Report, name: str):
    table = TABLES[name](report)
    rows = list(csv.DictReader(io.StringIO(written(report, "csv", table=name).decode())))
    assert len(rows) == len(table.rows)
    for row, record in zip(rows, table.records(), strict=True):
        assert row == {key: "" if value is None else str(value) for key, value in record.items()}


def test_a_spreadsheet_runs_nothing(report: Report):
    versions = report.protocol.model_copy(update={"versions": {"=1+1": "@x"}})
    text = written(report.model_copy(update={"protocol": versions}), "csv", table="versions").decode()
    assert "'=1+1,'@x\n" in text
    assert csv_text(Table("t", "t", (Column("a", "a"),), ((-0.5,),))) == "a\n-0.5\n"


def test_json_is_the_report(report: Report):
    assert Report.model_validate(json.loads(written(report, "json"))) == report


def test_markdown_has_the_answer_and_keeps_its_form(report: Report):
    assert report.best
    text = markdown(report.model_copy(update={"search": "a|b<script>*", "message": "x\n# y"}))
    assert f"`{report.best.network}`" in text
    assert text.startswith("# a\\|b\\<script\\>\\*\n")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len(tables) > 10
    assert report.spec in text


@pytest.mark.parametrize("figure", FIGURES)
def test_png_is_a_picture(report: Report, figure: str):
    pytest.importorskip("resvg_py")
    data = written(report, "png", figure=figure)
    assert data.startswith(b"\x89PNG\r\n")
    assert int.from_bytes(data[16:20], "big") == 1440


def test_png_without_its_package_is_one_clear_line(report: Report, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(InvalidSpec, match=r"pip install 'rcas\[png\]'"):
        written(report, "png")


def test_a_suffix_means_a_format():
    assert {format_of(f"x.y.{name}") for name in FORMATS} == set(FORMATS)
    assert [format_of(name) for name in ("a.HTM", "a", "a.txt", "a.markdown")] == ["html", None, None, "md"]

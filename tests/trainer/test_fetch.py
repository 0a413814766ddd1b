"""Data sets below an s3:// prefix, in a real S3 service."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rcas.errors import InvalidSpec
from rcas.evaluation import DataSource, Description, Draw
from rcas.messages import EXIT_INVALID, Inquiry
from rcas_trainer import fetch as fetch_module
from rcas_trainer.data import describe
from rcas_trainer.errors import Interrupted
from rcas_trainer.evaluate import evaluate
from rcas_trainer.fetch import CACHE_VARIABLE, fetch, local_source
from rcas_trainer.patience import never

from .builders import (
    a_task,
    an_assignment,
    finish,
    measured,
    refused,
    some_images,
    start_job,
    write_folder,
    write_idx,
)
from .weed import put, upload

FASHION = Draw(dataset="fashion-mnist", validation_per_class=2)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_two_jobs_fetch_a_data_set_once(bucket_url: str, s3_endpoint: str, tmp_path: Path, cache: Path) -> None:
    upload(s3_endpoint, write_idx(tmp_path / "data", *some_images()), f"{bucket_url}/data/fashion")
    source, answers = DataSource(path=f"{bucket_url}/data/fashion"), [tmp_path / "1.json", tmp_path / "2.json"]
    orders = [Inquiry(draw=FASHION, source=source, answer=str(answer)) for answer in answers]
    said = [finish(process) for process in [start_job(order) for order in orders]]
    assert sum("fetching 4 objects" in lines for lines in said) == 1
    here = Inquiry(draw=FASHION, source=DataSource(path=str(tmp_path / "data")), answer=str(tmp_path / "3.json"))
    finish(start_job(here))
    first, second, local = (
        Description.model_validate_json(path.read_bytes()) for path in (*answers, Path(here.answer))
    )
    assert first == second == local
    [home] = cache.iterdir()
    assert sorted(path.name for path in home.iterdir()) == ["complete.json", "data"]
    assert files(home / "data") == files(tmp_path / "data")


def test_data_from_s3_train_the_same_network(bucket_url: str, s3_endpoint: str, tmp_path: Path) -> None:
    images, labels = some_images(size=8)
    upload(s3_endpoint, write_folder(tmp_path / "data" / "train", images, labels), f"{bucket_url}/data/train")
    draw = Draw(dataset="imagefolder", validation_per_class=2)
    local = a_task(draw=draw, source=DataSource(path=str(tmp_path / "data")), epochs=1)
    remote = local.model_copy(update={"source": DataSource(path=f"{bucket_url}/data/")})
    results = [
        evaluate(an_assignment(task, tmp_path, str(number)), stop=never, report=lambda _: None, startup_s=0)
        for number, task in enumerate((local, remote))
    ]
    assert measured(results[0]) == measured(results[1])


def test_a_killed_fetch_is_taken_up_again(bucket_url: str, s3_endpoint: str, cache: Path) -> None:
    wanted = {f"folder {number % 3}/{number}.bin": os.urandom(1 << 20) for number in range(40)}
    for name, body in wanted.items():
        put(s3_endpoint, f"{bucket_url}/{name}", body)
    code = f"from rcas_trainer.fetch import fetch; fetch({bucket_url!r}, lambda: False)"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(cache.glob("*/data/*/*.bin")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    [data] = cache.glob("*/data")
    whole = files(data)
    assert 0 < len(whole) < len(wanted)
    assert whole.items() <= wanted.items()
    assert not (data.parent / "complete.json").exists()
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=True)
    assert f"fetching {len(wanted) - len(whole)} objects" in done.stderr
    assert files(data) == wanted
    assert sorted(path.name for path in data.parent.iterdir()) == ["complete.json", "data"]


def test_data_that_change_are_fetched_anew_and_the_old_stay(bucket_url: str, s3_endpoint: str) -> None:
    put(s3_endpoint, f"{bucket_url}/a", b"one")
    first = fetch(bucket_url, never)
    assert fetch(f"{bucket_url}/", never) == first
    put(s3_endpoint, f"{bucket_url}/a", b"two")
    second = fetch(bucket_url, never)
    put(s3_endpoint, f"{bucket_url}/b/c", b"")
    third = fetch(bucket_url, never)
    assert [files(folder) for folder in (first, second, third)] == [
        {"a": b"one"},
        {"a": b"two"},
        {"a": b"two", "b/c": b""},
    ]


def test_an_object_that_changes_while_it_is_fetched_is_listed_again(
    bucket_url: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3_endpoint, f"{bucket_url}/a", b"listed")
    check = fetch_module.check_names

    def between(url: str, names: list[str]) -> None:
        check(url, names)
        monkeypatch.setattr(fetch_module, "check_names", check)
        put(s3_endpoint, f"{bucket_url}/a", b"fetched")

    monkeypatch.setattr(fetch_module, "check_names", between)
    assert files(fetch(bucket_url, never)) == {"a": b"fetched"}


def test_a_full_cache_is_used_though_it_cannot_be_written(
    bucket_url: str, s3_endpoint: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3_endpoint, f"{bucket_url}/a", b"x")
    folder = fetch(bucket_url, never)

    def refuse(*_: object) -> None:
        raise AssertionError("locked")

    monkeypatch.setattr(fetch_module, "exclusive", refuse)
    assert fetch(bucket_url, never) == folder
    assert cache in folder.parents


def test_a_cache_that_cannot_be_made_names_the_variable(
    bucket_url: str, s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3_endpoint, f"{bucket_url}/a", b"x")
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(InvalidSpec, match=r"RCAS_DATA_CACHE: got .*/file', allowed: a folder that"):
        fetch(bucket_url, never)


def test_a_fetch_can_be_stopped(bucket_url: str, s3_endpoint: str) -> None:
    put(s3_endpoint, f"{bucket_url}/a", b"x")
    with pytest.raises(Interrupted):
        fetch(bucket_url, lambda: True)


def test_a_prefix_without_data_and_data_that_are_none_name_the_url(bucket_url: str, s3_endpoint: str) -> None:
    def asked(**fields: object) -> str:
        given = DataSource.model_validate(fields)
        with pytest.raises(InvalidSpec) as caught, local_source(given, "fashion-mnist", never) as source:
            describe(source, FASHION)
        return str(caught.value)

    empty = f"{bucket_url}/empty"
    assert asked(path=empty).startswith(f"source.path: got '{empty}', allowed: a prefix with objects below it")
    put(s3_endpoint, f"{bucket_url}/full/some", b"x")
    line = asked(path=f"{bucket_url}/full")
    assert line.startswith(f"source.path: got '{bucket_url}/full', allowed: a folder with a readable fashion-mnist")
    assert "cache" not in line
    assert "download" not in line
    assert "source.download: got 'True'" in asked(path=empty, download=True)
    assert "source.path: got 's3://B'" in asked(path="s3://B")


def test_an_empty_prefix_ends_a_job_as_invalid(bucket_url: str) -> None:
    order = Inquiry(draw=FASHION, source=DataSource(path=f"{bucket_url}/none"), answer=f"{bucket_url}/a.json")
    assert "source.path: got 's3://" in refused(start_job(order), EXIT_INVALID)


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", "a//b", "./a", "a\0b"])
def test_names_that_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(InvalidSpec, match=r"source\.path"):
        fetch_module.check_names("s3://bucket", ["fine", name])


def test_a_name_cannot_be_a_file_and_a_folder() -> None:
    fetch_module.check_names("s3://bucket", ["a", "b/c", "b/d/e"])
    with pytest.raises(InvalidSpec, match="'b/d'"):
        fetch_module.check_names("s3://bucket", ["a", "b/d", "b/d/e"])

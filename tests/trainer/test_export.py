"""Exported files: they load where rcas is not, give what the trained network gives, and do not appear otherwise."""

import hashlib
import json
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from rcas.errors import InvalidSpec, SearchFailed
from rcas.export.formats import FORMATS, LOADING, ONNX_OPSET, TOLERANCE, Delivery, Order
from rcas.timing import NetworksQuestion
from rcas_trainer import export as exporting
from rcas_trainer.export import export
from rcas_trainer.latency import time_networks
from rcas_trainer.weights import read_weights

from .builders import a_wide_space, an_architecture, refused, start, write_weights

ACTIVATIONS = ("relu6", "relu")
STRANGER = """
import importlib.util, json, os, sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + [sys.argv[1]]
assert not importlib.util.find_spec("rcas") and not importlib.util.find_spec("rcas_trainer")
import torch
from safetensors.torch import load_file
differences = {}
for folder, codes in json.load(sys.stdin).items():
    os.chdir(folder)
    sys.path.insert(0, folder)
    given = load_file("../given.safetensors")
    for name, code in codes.items():
        names = {"images": given["images"]}
        with torch.no_grad():
            exec(code, names)
        if "logits" in names:
            logits = torch.as_tensor(names["logits"])
            differences[f"{folder} {name}"] = float((logits - given[os.path.basename(folder)]).abs().max())
        else:
            wanted = load_file(f"../{os.path.basename(folder)}.safetensors")
            assert all(torch.equal(names["weights"].pop(key), wanted[key]) for key in wanted)
            assert not names["weights"] and names["architecture"]["network"]
    sys.path.remove(folder)
    sys.modules.pop("model")
print(json.dumps(differences))
"""


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Delivery]]:
    """All formats for both activations: a folder with `relu6/`, `relu/` and the weights that they came from."""
    folder = tmp_path_factory.mktemp("exports")
    made = dict[str, Delivery]()
    for activation in ACTIVATIONS:
        weights = folder / f"{activation}.safetensors"
        write_weights(weights, an_architecture(activation))
        made[activation] = export(an_order(weights, folder / activation, *FORMATS))
    return folder, made


def an_order(weights: Path, folder: Path, *formats: Any) -> Order:
    folder.mkdir(exist_ok=True)
    return Order(weights=str(weights), folder=str(folder), formats=formats, title="A network")


def test_all_formats_load_where_rcas_is_not_installed_and_agree(
    exports: tuple[Path, dict[str, Delivery]], tmp_path: Path
) -> None:
    folder, _ = exports
    images = torch.rand(5, 2, 12, 10, generator=torch.Generator().manual_seed(7))
    given = {"images": images}
    for activation in ACTIVATIONS:
        architecture, network = read_weights(folder / f"{activation}.safetensors")
        with torch.no_grad():
            given[activation] = network(images - torch.tensor(architecture.mean)[:, None, None])
        assert given[activation].std() > 0.1
    save_file(given, folder / "given.safetensors")
    code = tmp_path / "stranger.py"
    code.write_text(STRANGER)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(code), str(packages_without_rcas(tmp_path / "packages"))],
        input=json.dumps({str(folder / activation): LOADING for activation in ACTIVATIONS}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    differences: dict[str, float] = json.loads(done.stdout)
    assert len(differences) == 2 * 3
    assert max(differences.values()) <= TOLERANCE


def packages_without_rcas(folder: Path) -> Path:
    """A folder for the module path with all that is installed here but rcas and its links."""
    folder.mkdir()
    for installed in {
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
        *map(str, Path(torch.__file__).parents[1:2]),
    }:
        for entry in Path(installed).iterdir():
            if entry.suffix != ".pth" and "rcas" not in entry.name and not (folder / entry.name).exists():
                (folder / entry.name).symlink_to(entry)
    return folder


def test_a_delivery_tells_what_lies_in_the_folder(exports: tuple[Path, dict[str, Delivery]]) -> None:
    folder, made = exports
    for activation, delivery in made.items():
        assert delivery.architecture.activation == activation
        assert [file.format for file in delivery.files] == list(FORMATS)
        for file in delivery.files:
            content = (folder / activation / file.name).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size_bytes, file.sha256)
            assert file.difference <= TOLERANCE


def test_the_onnx_file_takes_any_number_of_images_and_names_no_path(
    exports: tuple[Path, dict[str, Delivery]],
) -> None:
    folder, _ = exports
    content = (folder / "relu6" / "model.onnx").read_bytes()
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", ONNX_OPSET)]
    first = model.graph.input[0].type.tensor_type.shape.dim
    assert first[0].dim_param
    assert [one.dim_value for one in first][1:] == [2, 12, 10]
    assert str(Path(exporting.__file__).parent).encode() not in content
    assert b"site-packages" not in content


def test_the_python_file_has_every_block_in_a_line_of_its_own(exports: tuple[Path, dict[str, Delivery]]) -> None:
    folder, _ = exports
    text = (folder / "relu6" / "model.py").read_text()
    blocks = [line.partition("#")[2].strip() for line in text.splitlines() if line.strip().startswith("Block(")]
    assert blocks == ["", "type 5", "type 1", "type 5", "type 2", "type 6", "type 3", "type 4", "type 6"]
    assert "MEAN = (0.25, 0.5)" in text
    assert "nn.ReLU6" in text
    assert "nn.ReLU6" not in (folder / "relu" / "model.py").read_text()
    assert "import rcas" not in text
    assert "from rcas" not in text


@pytest.mark.parametrize(
    "images",
    [torch.zeros(1, 2, 12, 10, dtype=torch.uint8), torch.zeros(1, 2, 10, 12), torch.zeros(1, 1, 12, 10)],
    ids=["bytes", "another size", "other channels"],
)
def test_images_that_would_give_wrong_answers_are_refused(
    exports: tuple[Path, dict[str, Delivery]], images: torch.Tensor
) -> None:
    folder = exports[0] / "relu6"
    script = torch.jit.load(folder / "model.pt")
    with pytest.raises(torch.jit.Error, match="images"):
        script(images)
    names: dict[str, Any] = {"__file__": str(folder / "model.py"), "__name__": "model"}
    exec((folder / "model.py").read_text(), names)
    with pytest.raises((TypeError, ValueError), match="images must"):
        names["load"]()(images)


def test_a_file_with_other_outputs_fails_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_weights(tmp_path / "w.safetensors")
    honest = exporting.python_file
    monkeypatch.setattr(exporting, "python_file", lambda *given: honest(*given).replace("ReLU6(", "ReLU("))
    with pytest.raises(SearchFailed, match=r"model\.py is not exported: its outputs differ"):
        export(an_order(tmp_path / "w.safetensors", tmp_path / "out", "python"))


def test_a_file_that_needs_rcas_fails_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_weights(tmp_path / "w.safetensors")
    honest = exporting.python_file
    monkeypatch.setattr(exporting, "python_file", lambda *given: f"import rcas.space\n{honest(*given)}")
    with pytest.raises(SearchFailed, match=r"cannot be loaded without rcas: .*rcas"):
        export(an_order(tmp_path / "w.safetensors", tmp_path / "out", "python"))


def test_every_file_of_an_export_can_be_timed_and_knows_the_size_of_its_images(
    exports: tuple[Path, dict[str, Delivery]],
) -> None:
    folder = exports[0] / "relu6"
    files = [str(folder / name) for name in ("model.safetensors", "model.pt", "model.onnx")]
    rounds = list[int]()
    answer = time_networks(NetworksQuestion(files=tuple(files), runs=2, warm_up=1, batch=2), rounds.append)
    assert rounds == [1, 2]
    assert [(one.name, one.runtime) for one in answer.timed] == list(
        zip(files, ("torch", "TorchScript", "onnxruntime"), strict=True)
    )
    assert [one.size_bytes for one in answer.timed] == [Path(file).stat().st_size for file in files]
    assert all(one.times.runs == 2 and one.times.fastest_ns > 0 for one in answer.timed)


@pytest.mark.parametrize("name", ["x.pt", "x.onnx", "x.safetensors", "x.txt", "missing.onnx"])
def test_a_file_that_holds_no_network_cannot_be_timed(name: str, tmp_path: Path) -> None:
    for one in ("x.pt", "x.onnx", "x.safetensors", "x.txt"):
        (tmp_path / one).write_bytes(b"not one")
    with pytest.raises(InvalidSpec) as error:
        time_networks(NetworksQuestion(files=(str(tmp_path / name),), runs=1), lambda _rounds: None)
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_torchscript_file_of_others_cannot_be_timed(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "x.pt")
    with pytest.raises(InvalidSpec, match="a file that `rcasctl export` wrote"):
        time_networks(NetworksQuestion(files=(str(tmp_path / "x.pt"),), runs=1), lambda _rounds: None)


def test_weights_that_are_none_are_refused_in_one_line(tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    architecture = write_weights(good)
    tensors = load_file(good)

    def bad(what: dict[str, torch.Tensor] | bytes, metadata: dict[str, str] | None = None) -> str:
        path = tmp_path / "bad.safetensors"
        if isinstance(what, bytes):
            path.write_bytes(what)
        else:
            save_file(what, path, metadata)
        with pytest.raises(InvalidSpec) as error:
            export(an_order(path, tmp_path / "out", "safetensors"))
        assert not list((tmp_path / "out").iterdir())
        assert "\n" not in str(error.value)
        return str(error.value)

    told = {"rcas": architecture.model_dump_json()}
    first = "0.0.weight"
    stages = tuple(
        replace(stage, channels=48_000 + 24 * number) for number, stage in enumerate(a_wide_space().stages)
    )
    gigantic = architecture.model_copy(update={"space": replace(architecture.space, stages=stages)})
    assert "a readable safetensors file" in bad(b"not one")
    assert "rcasctl retrain" in bad(tensors)
    assert "weights.rcas.network" in bad(
        tensors, {"rcas": architecture.model_copy(update={"network": 1}).model_dump_json(warnings=False)}
    )
    assert "the tensors of 5,1 / -" in bad({name: one for name, one in tensors.items() if name != first}, told)
    assert "the tensors of 5,1 / -" in bad({**tensors, first: tensors[first][:1].clone()}, told)
    assert "the tensors of 5,1 / -" in bad(
        {name: one for name, one in tensors.items() if "tracked" not in name}, told
    )
    assert "the tensors of 5,1 / -" in bad({**tensors, first: tensors[first].half()}, told)
    assert "the tensors of 5,1 / -" in bad({}, {"rcas": gigantic.model_dump_json()})
    assert "finite" in bad({**tensors, first: tensors[first] * torch.nan}, told)


def test_without_the_packages_for_onnx_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_weights(tmp_path / "w.safetensors")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InvalidSpec, match=r"pip install 'rcas\[export\]' \(onnxruntime is not installed\)"):
        export(an_order(tmp_path / "w.safetensors", tmp_path / "out", "onnx"))


def test_a_bad_order_is_one_line() -> None:
    process = start("export")
    assert process.stdin
    process.stdin.write('{"weights": "w", "folder": "f", "formats": ["onnx", "caffe"], "title": ""}')
    assert "order.formats.1" in refused(process, 2)

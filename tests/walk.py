"""What a user does with a search of Fashion-MNIST, from the first training to exported files.

`python tests/walk.py OUT` searches with the live page open, writes the report, takes pictures of both, retrains the
answer undisturbed and killed twice with -9, exports it in every format, loads these in a new environment without
rcas, and measures them. Half an hour on two cores. Ends with 1 if something is wrong; OUT keeps everything.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from page.chromium import chromium
from page.look import look

RCASCTL = Path(sys.executable).with_name("rcasctl")
SPEC = """
name: fashion
space:
  skeleton: custom
  classes: 10
  input: [1, 14, 14]
  stem: {channels: 8, block_channels: 8}
  stages:
    - {channels: 8, positions: 3}
    - {channels: 16, positions: 4, stride: 2, start: [5]}
    - {channels: 32, positions: 4, stride: 2, start: [5]}
  head: {channels: 64}
budget: {params: 30k, madds: 900k}
data:
  dataset: fashion-mnist
  path: /usr/share/datasets/fashion-mnist
  validation_per_class: 500
  train_per_class: 400
training: {epochs: 2, batch_size: 32, lr: 0.1, milestones: [1], pad: 1}
threads: 1
"""
RETRAINING = ("--seeds", "2", "--epochs", "4", "--train-per-class", "1000", "--device", "cpu")
PACKAGES = ("torch", "numpy", "safetensors", "onnxruntime")
LIMIT = 1e-4

LOADED = """
import importlib.util, json, sys
import numpy as np, onnxruntime, torch
assert importlib.util.find_spec("rcas") is None and importlib.util.find_spec("rcas_trainer") is None
folder, expected = sys.argv[1:]
cases = np.load(expected)
images, wanted = torch.from_numpy(cases["images"]), cases["logits"]
spec = importlib.util.spec_from_file_location("model", folder + "/model.py")
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
with torch.no_grad():
    found = {
        "python and safetensors": module.load(folder + "/model.safetensors").eval()(images).numpy(),
        "torchscript": torch.jit.load(folder + "/model.pt").eval()(images).numpy(),
    }
session = onnxruntime.InferenceSession(folder + "/model.onnx", providers=["CPUExecutionProvider"])
found["onnx"] = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
print(json.dumps({name: float(np.abs(one - wanted).max()) for name, one in found.items()}))
"""
"""Runs where rcas is not installed: the largest difference of each exported file to what rcas gave."""


def main(out: Path) -> int:
    """See the module."""
    out.mkdir(parents=True)
    (out / "fashion.yaml").write_text(SPEC)
    wrong = list[str]()
    store = out / "store"
    with chromium() as browser:
        wrong += _search(out, store, browser)
        rcasctl("report", "fashion", "--store", store, "-o", out / "report.html")
        for suffix in ("svg", "png", "json", "csv", "md"):
            rcasctl("report", "fashion", "--store", store, "-o", out / f"report.{suffix}")
        wrong += look(browser, out, str(out / "report.html"), "report")
    wrong += _killed(out, store)
    wrong += _exports(out, store)
    print("\n".join(wrong) or "nothing wrong")
    return bool(wrong)


def rcasctl(*words: object) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run([RCASCTL, *map(str, words)], stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout


def _search(out: Path, store: Path, browser: object) -> Iterator[str]:
    """Pictures of the list and of the search's page while it runs."""
    command = [RCASCTL, "run", out / "fashion.yaml", "--store", store, "--page", "0"]
    with (out / "run.log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        address = _seen(process, out / "run.log", r"http://127\.0\.0\.1:\d+\S*")
        _seen(process, out / "run.log", r"(?s)(accepted|\+ type).*(accepted|\+ type)")
        yield from look(browser, out, "/".join(address.split("/")[:3]) + "/", "list")
        yield from look(browser, out, address, "live")
        if process.wait() != 0:
            yield f"the search ended with {process.returncode}"
    print(rcasctl("result", "fashion", "--store", store))


def _seen(process: subprocess.Popen[bytes], log: Path, pattern: str) -> str:
    while process.poll() is None:
        if found := re.search(pattern, log.read_text()):
            return found[0]
        time.sleep(0.5)
    raise SystemExit(f"ended without {pattern}: {log.read_text()[-2000:]}")


def _killed(out: Path, store: Path) -> Iterator[str]:
    """Retrained undisturbed in a copy of the store, and killed twice in the store itself."""
    quiet = out / "undisturbed"
    shutil.copytree(store, quiet)
    rcasctl("retrain", "fashion", "--store", quiet, *RETRAINING)
    for with_workers in (False, True):
        _kill_in_the_middle(store, with_workers=with_workers)
    print(rcasctl("retrain", "fashion", "--store", store, *RETRAINING))
    resumed = [json.loads(path.read_text())["resumed"] for path in (store / "finals").glob("*.json")]
    print(f"killed twice with -9; trainings went on from a checkpoint {sum(resumed)} times")
    if not sum(resumed):
        yield "no training was resumed"
    for path in sorted((quiet / "finals").glob("*.safetensors")):
        same = path.read_bytes() == (store / "finals" / path.name).read_bytes()
        print(f"weights {path.name[:16]}: {'identical' if same else 'DIFFERENT'}")
        if not same:
            yield f"weights of {path.name} differ"


def _kill_in_the_middle(store: Path, *, with_workers: bool) -> None:
    known = _checkpoints(store)
    process = subprocess.Popen(
        [RCASCTL, "retrain", "fashion", "--store", store, *RETRAINING], stdout=subprocess.DEVNULL
    )
    while process.poll() is None and _checkpoints(store) == known:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split() if with_workers else []
    for pid in (*map(int, children), process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()


def _checkpoints(store: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (store / "finals").glob("*.pt") if path.exists()}


def _exports(out: Path, store: Path) -> Iterator[str]:
    """All formats, loaded in a new environment that never had rcas, and measured."""
    model = out / "model"
    print(rcasctl("export", "fashion", "--store", store, "-o", model))
    _cases(model / "model.safetensors", out / "cases.npz")
    environment = out / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    versions = [f"{name}=={_version(name)}" for name in PACKAGES]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *versions], check=True)
    done = subprocess.run(
        [python, "-c", LOADED, model, out / "cases.npz"], check=True, stdout=subprocess.PIPE, text=True, cwd=out
    )
    for name, difference in json.loads(done.stdout).items():
        print(f"{name}: largest difference {difference:.2g}")
        if not difference <= LIMIT:
            yield f"{name} differs by {difference}"
    print(rcasctl("latency", "network", model))


def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


def _cases(weights: Path, to: Path) -> None:
    """Random images, and what the trained module itself makes of them."""
    import numpy as np
    import torch

    from rcas_trainer.weights import read_weights

    architecture, module = read_weights(weights)
    images = torch.rand(64, *architecture.space.input, generator=torch.Generator().manual_seed(0))
    mean = torch.tensor(architecture.mean)[:, None, None]
    with torch.no_grad():
        logits = module(images - mean)
    np.savez(to, images=images.numpy(), logits=logits.numpy())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

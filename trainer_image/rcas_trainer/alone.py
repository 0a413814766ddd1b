"""Loads exported files as a program would that never heard of rcas. Run by its path; it imports nothing of rcas.

    python -I alone.py CASES.safetensors

The working folder has the files. CASES has `images.N` and the `logits.N` that they must give, and the weights as
`weights.NAME`. Standard input is JSON: code that loads each format. Printed is the largest difference of each format.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    """Run the code of every format on every case."""
    # Whoever installed rcas beside torch must not be helped by it.
    sys.modules.update(dict.fromkeys(("rcas", "rcas_trainer")))  # pyright: ignore
    sys.path.insert(0, os.getcwd())
    sys.dont_write_bytecode = True
    import torch
    from safetensors.torch import load_file

    given = load_file(sys.argv[1])
    cases = [name.partition(".")[2] for name in given if name.startswith("images.")]
    differences = dict[str, float]()
    for format_, code in json.load(sys.stdin).items():
        if format_ == "safetensors":
            differences[format_] = _of_weights(_run(code, None)["weights"], given)
            continue
        with torch.no_grad():
            found = [torch.as_tensor(_run(code, given[f"images.{case}"])["logits"]) for case in cases]
        pairs = zip(found, (given[f"logits.{case}"] for case in cases), strict=True)
        differences[format_] = max(_difference(logits, wanted) for logits, wanted in pairs)
    print(json.dumps(differences))


def _run(code: str, images: Any) -> dict[str, Any]:
    names = {"images": images}
    exec(code, names)
    return names


def _of_weights(found: dict[str, Any], given: dict[str, Any]) -> float:
    wanted = {name.partition(".")[2]: tensor for name, tensor in given.items() if name.startswith("weights.")}
    if found.keys() != wanted.keys():
        return float("inf")
    return max(_difference(found[name], tensor) for name, tensor in wanted.items())


def _difference(found: Any, wanted: Any) -> float:
    if found.shape != wanted.shape:
        return float("inf")
    return float((found.double() - wanted.double()).abs().max()) if wanted.numel() else 0.0


if __name__ == "__main__":
    main()

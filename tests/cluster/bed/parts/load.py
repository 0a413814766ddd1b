"""Bring one image out of buildah's storage to one node, by hard links. Usage: load.py IMAGE NODE-FOLDER."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

STORAGE = Path("/var/lib/containers/storage")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Image:
    """An image in buildah's storage.

    Attributes:
        manifest, config: the two documents, byte for byte.
        layers: the folders of the layers with the digests of their contents, the lowest first.
    """

    def __init__(self, name: str) -> None:
        found = next(i for i in _stored("overlay-images/images.json") if name in (i.get("names") or []))
        folder = STORAGE / "overlay-images" / found["id"]
        self.name = name
        self.manifest = (folder / "manifest").read_bytes()
        self.config = (folder / f"={base64.b64encode(b'sha256:' + found['id'].encode()).decode()}").read_bytes()
        by_id = {layer["id"]: layer for layer in _stored("overlay-layers/layers.json")}
        self.layers = list[tuple[Path, str]]()
        layer = by_id.get(found.get("layer"))
        while layer:
            self.layers.insert(0, (STORAGE / "overlay" / layer["id"] / "diff", layer["diff-digest"]))
            layer = by_id.get(layer.get("parent"))
        assert [digest for _, digest in self.layers] == json.loads(self.config)["rootfs"]["diff_ids"]

    def archive(self) -> bytes:
        """An OCI archive without the layers: an import looks at none whose snapshot is there."""
        index = {
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": MANIFEST,
                    "digest": _digest(self.manifest),
                    "size": len(self.manifest),
                    "annotations": {"io.containerd.image.name": self.name},
                }
            ],
        }
        files = {
            "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
            "index.json": json.dumps(index).encode(),
            **{f"blobs/sha256/{_digest(blob)[7:]}": blob for blob in (self.manifest, self.config)},
        }
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return buffer.getvalue()


class Node:
    """The containerd of a node."""

    def __init__(self, folder: Path) -> None:
        self.command = ["ctr", "-a", str(folder / "containerd.sock"), "-n", "k8s.io"]

    def ctr(self, *arguments: str, given: bytes | None = None) -> str:
        done = subprocess.run([*self.command, *arguments], input=given, capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"ctr {' '.join(arguments)}: {done.stderr.decode()}")
        return done.stdout.decode()

    def load(self, image: Image) -> None:
        """Have the image; what is there already is left as it is."""
        if f"{image.name} " in self.ctr(
            "images", "ls", f"name=={image.name},target.digest=={_digest(image.manifest)}"
        ):
            return
        there = {line.split()[0] for line in self.ctr("snapshots", "ls").splitlines()[1:]}
        for unfinished in (name for name in there if name.startswith("load-")):
            self.ctr("snapshots", "rm", unfinished)
        chain, made = "", list[str]()
        for folder, digest in image.layers:
            parent, chain = chain, _digest(f"{chain} {digest}".encode()) if chain else digest
            if chain not in there:
                self._link(folder, chain, parent)
                made.append(chain)
        self.ctr("images", "import", "-", given=image.archive())
        for chain in made:
            # The image holds them now; without the label they go when it goes.
            self.ctr("snapshots", "label", chain, "containerd.io/gc.root=")

    def _link(self, layer: Path, chain: str, parent: str) -> None:
        mounts = json.loads(self.ctr("snapshots", "prepare", "--mounts", f"load-{chain}", *filter(None, [parent])))
        upper = [option[9:] for option in mounts[0]["Options"] if option.startswith("upperdir=")]
        target = upper[0] if upper else mounts[0]["Source"]
        subprocess.run(_copy_command(layer, Path(target)), check=True)
        self.ctr("snapshots", "commit", chain, f"load-{chain}")


def _copy_command(source: Path, target: Path) -> list[str]:
    if len({path.stat().st_dev for path in (Path("/"), source, target)}) > 1:
        return ["cp", "--archive", f"{source}/.", str(target)]
    # While buildah is at work its storage is a mount of its own, and no link leads from one mount into another. Seen
    # through a second mount of the root, without what is mounted on it, both folders are on the same one.
    script = 'mount --bind / /mnt && exec cp --archive --link "/mnt$1/." "/mnt$2"'
    return ["unshare", "--mount", "sh", "-c", script, "load", str(source), str(target)]


def _stored(name: str) -> list[dict]:
    return json.loads((STORAGE / name).read_text())


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


if __name__ == "__main__":
    Node(Path(sys.argv[2])).load(Image(sys.argv[1]))

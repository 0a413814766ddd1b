"""A simulated Kubernetes API server: objects in collections, requests answered with status codes and JSON bytes.

It knows what every object has (names, versions, generations, labels, owners, finalizers) and nothing of what the
objects mean; that is for the actors of `machines`, which hear of every change.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from simulation.timeline import timestamp

Object = dict[str, Any]
Changed = Callable[[str, str, Object], None]
"""(ADDED, MODIFIED or DELETED, collection, object)"""
Handled = tuple[int, bytes]

_REASONS = {400: "BadRequest", 404: "NotFound", 409: "AlreadyExists", 410: "Expired", 422: "Invalid"}
_PATH = re.compile(r"(/(?:api/v1|apis/[^/]+/[^/]+)/namespaces/[^/]+/[^/]+)(?:/([^/]+))?(?:/([^/]+))?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_GRACEFUL = "pods"
"""Objects that stay, with a deletionTimestamp, until somebody has ended what they stand for."""


class ApiServer:
    """Keeps objects and answers requests."""

    def __init__(
        self, now: Callable[[], float], changed: Changed = lambda _event, _collection, _object: None
    ) -> None:
        self._now, self._changed = now, changed
        self.refused: Callable[[str, Object, Object], None] = lambda _collection, _found, _body: None
        self._collections: dict[str, dict[str, Object]] = {}
        self._encoded: dict[tuple[str, str], bytes] = {}
        self._version, self._made = 1000, 0
        self._snapshots: dict[tuple[str, int], dict[str, bytes]] = {}

    # What actors do.

    def all(self, collection: str) -> dict[str, Object]:
        """The objects of a collection by name."""
        return self._collections.setdefault(collection, {})

    def everything(self) -> list[dict[str, Object]]:
        """The objects of all collections."""
        return list(self._collections.values())

    def add(self, collection: str, body: Object) -> Object:
        """Create an object as given."""
        self._made += 1
        metadata = body["metadata"]
        digest = hashlib.sha256(f"{collection}/{metadata['name']}/{self._made}".encode()).hexdigest()
        metadata["namespace"] = collection.split("/")[-2]
        metadata["uid"] = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
        metadata["creationTimestamp"] = timestamp(self._now())
        metadata["generation"] = 1
        self.all(collection)[metadata["name"]] = body
        self.touch(collection, body, "ADDED")
        return body

    def touch(self, collection: str, body: Object, event: str = "MODIFIED") -> None:
        """Say that an object was changed."""
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        self._encoded.pop((collection, body["metadata"]["name"]), None)
        self._changed(event, collection, body)

    def remove(self, collection: str, name: str) -> None:
        """Take an object away."""
        body = self.all(collection).pop(name, None)
        if body is not None:
            self._encoded.pop((collection, name), None)
            self._version += 1
            self._changed("DELETED", collection, body)

    def compact(self) -> None:
        """Forget old versions: lists cannot go on from them."""
        self._snapshots.clear()

    # What clients ask.

    def handle(self, method: str, path: str, query: Mapping[str, Any], body: Object | None) -> Handled:
        """Answer a request."""
        match = _PATH.fullmatch(path)
        if match is None:
            return _status(404, "the server could not find the requested resource")
        collection, name, part = match.groups()
        if name is None:
            if method == "POST":
                return self._create(collection, json.loads(json.dumps(body)))
            return self._list(collection, query)
        found = self.all(collection).get(name)
        if found is None:
            return _status(404, f'{collection.rpartition("/")[2]} "{name}" not found')
        if method == "PATCH":
            return self._patch(collection, found, body or {}, part)
        if method == "DELETE":
            return self._delete(collection, found, (body or {}).get("propagationPolicy", "Background"))
        return 200, self._bytes(collection, found)

    def _create(self, collection: str, body: Object) -> Handled:
        name = body["metadata"].get("name", "")
        if not _NAME.fullmatch(name):
            return _status(422, f"metadata.name: Invalid value: {name!r}")
        if found := self.all(collection).get(name):
            self.refused(collection, found, body)
            return _status(409, f'{collection.rpartition("/")[2]} "{name}" already exists')
        return 201, self._bytes(collection, self.add(collection, body))

    def _list(self, collection: str, query: Mapping[str, Any]) -> Handled:
        version, start = self._version, ""
        if token := query.get("continue"):
            told = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            version, start = told["rv"], told["start"]
            if (collection, version) not in self._snapshots:
                return _status(410, "The provided continue parameter is too old to display a consistent list result.")
            page = self._snapshots[collection, version]
        else:
            wanted = query.get("labelSelector")
            page = {
                name: self._bytes(collection, found)
                for name, found in sorted(self.all(collection).items())
                if not wanted or _selected(found, wanted)
            }
        names = [name for name in page if name > start]
        limit = int(query.get("limit") or len(names))
        metadata: Object = {"resourceVersion": str(version)}
        if len(names) > limit:
            self._snapshots[collection, version] = page
            told = {"v": "meta.k8s.io/v1", "rv": version, "start": names[limit - 1]}
            metadata["continue"] = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
            metadata["remainingItemCount"] = len(names) - limit
        items = b",".join(page[name] for name in names[:limit])
        return 200, b'{"kind":"List","metadata":%s,"items":[%s]}' % (json.dumps(metadata).encode(), items)

    def _patch(self, collection: str, found: Object, patch: Object, part: str | None) -> Handled:
        version = patch.get("metadata", {}).get("resourceVersion")
        if version not in (None, found["metadata"]["resourceVersion"]):
            return _status(409, "the object has been modified; please apply your changes to the latest version")
        fields = ("status",) if part == "status" else ("spec", "metadata")
        before = json.dumps([found.get(field) for field in fields])
        for field in fields:
            if field in patch:
                found[field] = merged(found.get(field), patch[field])
        after = json.dumps([found.get(field) for field in fields])
        if after != before:
            if part != "status":
                found["metadata"]["generation"] += 1
            self.touch(collection, found)
        return 200, self._bytes(collection, found)

    def _delete(self, collection: str, found: Object, policy: str) -> Handled:
        metadata = found["metadata"]
        if collection.endswith(_GRACEFUL):
            self.terminate(collection, found)
        elif policy == "Foreground":
            if "deletionTimestamp" not in metadata:
                metadata["deletionTimestamp"] = timestamp(self._now())
                metadata["finalizers"] = ["foregroundDeletion"]
                self.touch(collection, found)
        else:
            self.remove(collection, metadata["name"])
        return 200, self._bytes(collection, found) if collection.endswith(_GRACEFUL) else b'{"status":"Success"}'

    def terminate(self, collection: str, pod: Object) -> None:
        """Ask for a pod's end, within its grace period."""
        if "deletionTimestamp" not in pod["metadata"]:
            grace_s = pod["spec"].get("terminationGracePeriodSeconds", 30)
            pod["metadata"]["deletionTimestamp"] = timestamp(self._now() + grace_s)
            pod["metadata"]["deletionGracePeriodSeconds"] = grace_s
            self.touch(collection, pod)

    def _bytes(self, collection: str, found: Object) -> bytes:
        at = (collection, found["metadata"]["name"])
        if at not in self._encoded:
            self._encoded[at] = json.dumps(found).encode()
        return self._encoded[at]


def merged(value: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result: Object = dict(value) if isinstance(value, dict) else {}
    for name, new in patch.items():
        if new is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), new)
    return result


def _selected(found: Object, selector: str) -> bool:
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(name) == value for name, _, value in (one.partition("=") for one in selector.split(",")))


def _status(code: int, message: str) -> Handled:
    body = {"kind": "Status", "status": "Failure", "message": message, "reason": _REASONS.get(code, ""), "code": code}
    return code, json.dumps(body).encode()

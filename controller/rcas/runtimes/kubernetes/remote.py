"""The searches of a namespace as their user sees and changes them, with the rights of a kubeconfig."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from rcas.errors import Conflict, InvalidSpec, Unavailable
from rcas.resource import DEFAULTS_KEY, DEFAULTS_LABEL, GROUP, PLURAL, Resource
from rcas.runtimes.kubernetes.api import Api, ClusterUnavailable, NotFound
from rcas.runtimes.kubernetes.forward import fetch
from rcas.runtimes.kubernetes.namespace import pods_path, searches_path

Object = dict[str, Any]

CONTROLLER = "app.kubernetes.io/name=rcas,app.kubernetes.io/component=controller"
"""Label selector of the controller's objects."""
CONFIG_KEY = "config.yaml"
PORT_NAME, PORT = "http", 8080
"""Of the controller's container; the number where no port has the name."""
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Those of Kubernetes' generated names: they spell nothing."""


class ControllerUnreachable(Unavailable):
    """The namespace's controller does not answer, so only the resources tell of the searches."""


class Remote:
    """Searches of one namespace.

    Every method may raise ClusterUnavailable: the API server does not answer, or refuses these rights.

    Args:
        api: of the cluster.
        namespace: that the searches lie in.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self._path = searches_path(namespace)

    def searches(self) -> list[Resource]:
        """All of them, by name."""
        try:
            found = self.api.items(self._path)
        except NotFound:
            raise _no_such_kind() from None
        return sorted((Resource(body) for body in found), key=lambda search: search.name)

    def search(self, name: str) -> Resource:
        """The search `name`.

        Raises:
            InvalidSpec: there is none.
        """
        try:
            return Resource(self.api.get(self._of(name)))
        except NotFound:
            raise self._no_such_search(name) from None

    def submit(self, body: Object, *, dry_run: bool = False) -> Object:
        """Create a search. `dry_run`: the API server checks everything and keeps nothing. Returns the resource.

        Raises:
            InvalidSpec: the API server refuses it, the name is taken, or there is no such namespace.
        """
        try:
            return self.api.create(self._path, body, dryRun="All" if dry_run else None)
        except Conflict:
            allowed = f"a name that no search in the namespace {self.namespace} has yet"
            raise InvalidSpec("name", got=body["metadata"]["name"], allowed=allowed) from None
        except NotFound as error:
            if "namespaces" in str(error):
                raise InvalidSpec("namespace", got=self.namespace, allowed="one that exists") from None
            raise _no_such_kind() from None

    def change(self, name: str, fields: Mapping[str, Any]) -> Resource:
        """Merge `fields` into the spec of a search; None takes a field away.

        Raises:
            InvalidSpec: there is no such search, or the API server refuses the change.
        """
        try:
            return Resource(self.api.patch(self._of(name), {"spec": dict(fields)}))
        except NotFound:
            raise self._no_such_search(name) from None

    def delete(self, search: Resource) -> None:
        """Delete a search, and with it the Jobs that it owns."""
        self.api.delete(self._of(search.name))

    def defaults(self) -> str | None:
        """What the namespace lays under every spec, as YAML; None if it has no defaults.

        Raises:
            InvalidSpec: it has several, so that none counts.
        """
        found = self._config_maps(f"{DEFAULTS_LABEL}=true", DEFAULTS_KEY)
        if len(found) > 1:
            got = f"{len(found)} ConfigMaps with the label {DEFAULTS_LABEL}=true"
            raise InvalidSpec("defaults", got=got, allowed=f"one in the namespace {self.namespace}")
        return found[0] if found else None

    def controller_config(self) -> str | None:
        """The controller's configuration file; None if it is not found."""
        return next(iter(self._config_maps(CONTROLLER, CONFIG_KEY)), None)

    def head(self, search: Resource) -> bytes | None:
        """The head object of a search, asked of its controller; None if it has none yet.

        Raises:
            ControllerUnreachable: there is no controller, it does not answer, or these rights do not reach it.
        """
        return self._ask("state", search)

    def report(self, search: Resource) -> bytes | None:
        """The report of a search as JSON, made by its controller; None if nothing is known of it yet.

        Raises:
            ControllerUnreachable: there is no controller, it does not answer, or these rights do not reach it.
        """
        found = self._ask("report", search)
        if found is None and self.head(search) is not None:
            raise ControllerUnreachable("the controller is of an older version, which makes no reports")
        return found

    def _ask(self, what: str, search: Resource) -> bytes | None:
        """What the controller says of a search; None if it knows of no such thing."""
        pod = self._controller()
        path = f"/{what}/{quote(search.namespace, safe='')}/{quote(search.name, safe='')}"
        where = f"{pods_path(self.namespace)}/{pod['metadata']['name']}"
        try:
            status, body = fetch(self.api, where, _port(pod), path)
        except (ClusterUnavailable, NotFound) as error:
            raise ControllerUnreachable(f"the controller cannot be reached: {error}") from error
        if status == 404:
            return None
        if status != 200:
            words = " ".join(body.decode(errors="replace").split())[:300]
            raise ControllerUnreachable(f"the controller does not know the state now: {words}")
        return body

    def _controller(self) -> Object:
        try:
            pods = self.api.items(pods_path(self.namespace), labelSelector=CONTROLLER)
        except ClusterUnavailable as error:
            raise ControllerUnreachable(f"the controller cannot be found: {error}") from error
        running = [pod for pod in pods if _is_running(pod)]
        if not running:
            raise ControllerUnreachable(f"no controller runs in the namespace {self.namespace}")
        return max(running, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def _config_maps(self, selector: str, key: str) -> list[str]:
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        found = self.api.items(path, labelSelector=selector)
        return [one["data"][key] for one in found if key in (one.get("data") or {})]

    def _of(self, name: str) -> str:
        return f"{self._path}/{quote(name, safe='')}"

    def _no_such_search(self, name: str) -> InvalidSpec:
        names = ", ".join(search.name for search in self.searches()) or "none there yet"
        return InvalidSpec("search", got=name, allowed=f"a search in the namespace {self.namespace}: {names}")


def new_name() -> str:
    """A name for a search that was given none."""
    return "search-" + "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))


def _no_such_kind() -> ClusterUnavailable:
    return ClusterUnavailable(f"the cluster has no {PLURAL}.{GROUP}: install the chart of rcas first")


def _is_running(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")


def _port(pod: Object) -> int:
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports") or ()]
    return next((port["containerPort"] for port in ports if port.get("name") == PORT_NAME), PORT)

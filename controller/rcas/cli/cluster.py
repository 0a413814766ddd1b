"""Options that name a cluster and a namespace, as kubectl has them."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rcas.errors import InvalidSpec, RcasError

if TYPE_CHECKING:
    from rcas.runtimes.kubernetes.remote import Remote

COMPLETION_TIMEOUT_S = (1.0, 2.0)
"""The tab key does not wait longer for an API server: to connect, to read."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the command line says about the cluster; None leaves it to the kubeconfig."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    @property
    def given(self) -> bool:
        """Whether it says anything."""
        return any((self.namespace, self.context, self.kubeconfig))

    def open(self) -> Remote:
        """The searches of the namespace.

        Raises:
            InvalidSpec: there is no such kubeconfig or context, or the Kubernetes client is not installed.
        """
        try:
            from rcas.runtimes.kubernetes.api import from_kubeconfig
            from rcas.runtimes.kubernetes.remote import Remote
        except ModuleNotFoundError as error:
            got = f"no module {error.name}"
            raise InvalidSpec("cluster", got=got, allowed="first: pip install 'rcas[controller]'") from None
        api, namespace = from_kubeconfig(self.kubeconfig, self.context)
        return Remote(api, self.namespace or namespace)

    def command(self, *words: str) -> str:
        """A command of rcasctl with the options that lead to the same place."""
        given = {"-n": self.namespace, "--context": self.context, "--kubeconfig": self.kubeconfig}
        flags = [word for flag, value in given.items() if value for word in (flag, value)]
        return shlex.join(["rcasctl", *words, *flags])


def cluster_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; the command gets them as `target`."""

    @functools.wraps(function)
    def command(*args: Any, namespace: str | None, context: str | None, kubeconfig: str | None, **kwargs: Any) -> Any:
        return function(*args, target=Target(namespace, context, kubeconfig), **kwargs)

    for option in (
        click.option("--kubeconfig", type=click.Path(), help="Default: KUBECONFIG, else ~/.kube/config."),
        click.option("--context", metavar="NAME", help="Context of the kubeconfig; default: its current one."),
        click.option("-n", "--namespace", metavar="NAME", help="Namespace; default: the context's."),
    ):
        command = option(command)
    return command


def searches_starting_with(text: str, parameters: dict[str, Any]) -> list[str]:
    """Names for the tab key; none if they cannot be had at once, for a message would only disturb."""
    try:
        target = Target(*(parameters.get(name) for name in ("namespace", "context", "kubeconfig")))
        remote = target.open()
        remote.api.timeout_s = COMPLETION_TIMEOUT_S
        return [search.name for search in remote.searches() if search.name.startswith(text)]
    except RcasError:
        return []


def _complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    return searches_starting_with(incomplete, context.params)


cluster_search_argument = click.argument("search", metavar="SEARCH", shell_complete=_complete)

"""What the controller may do is what it does: its Role against the API server's own log. Runs last."""

from __future__ import annotations

import re

import pytest

from cluster.conftest import Install
from cluster.installation import RELEASE, Installation
from cluster.machine import AUDIT_LOG, audited
from cluster.waiting import until

NAME = "foreign"
EVERYBODYS = {"selfsubjectaccessreviews", "selfsubjectreviews", "selfsubjectrulesreviews"}
"""Every account may ask what it may."""


def test_a_foreign_job_is_not_taken_over(install: Install):
    """Its name is known before it is created, so somebody may be faster. It is looked at only then."""
    installation = install()
    installation.submit_paused(NAME, {"rules": ["UC"], "max_blocks": 0})
    name = f"{NAME}-{installation.uid(NAME)[:8]}-describe"
    image = installation.images.controller
    installation.kubectl("create", "job", name, f"--image={image}", "--", "sleep", "1")
    installation.rcasctl("resume", NAME)
    failed = until("it to fail", lambda: installation.condition(NAME, "Failed").get("status") == "True" or None)
    assert failed
    assert name in installation.condition(NAME, "Failed")["message"]
    installation.kubectl("delete", "job", name)
    installation.rcasctl("resume", NAME)
    until("it to end", lambda: installation.status(NAME).get("phase") == "Complete", within_s=120)


@pytest.mark.usefixtures("reference")
def test_it_may_nothing_that_it_does_not_do(first: Installation):
    may = granted(first)
    used = set[tuple[str, str]]()
    for namespace in namespaces():
        for event in audited(f"system:serviceaccount:{namespace}:{RELEASE}"):
            reference_ = event.get("objectRef", {})
            resource = "/".join(filter(None, [reference_.get("resource"), reference_.get("subresource")]))
            # What is granted is refused too, where a namespace is on its way out and by an API server that has just
            # started.
            used.add((resource, event["verb"]))
    print(f"granted, and used in this session: {sorted(may & used)}")
    assert used - may == set()
    assert may - used == set(), "granted, but never used"


def granted(first: Installation) -> set[tuple[str, str]]:
    """Pairs of resource and verb out of `kubectl auth can-i --list` as the controller."""
    account = f"system:serviceaccount:{first.namespace}:{RELEASE}"
    listed = first.kubectl("auth", "can-i", "--list", "--no-headers", f"--as={account}")
    may = set[tuple[str, str]]()
    for line in listed.splitlines():
        resource = line.split()[0]
        verbs = re.search(r"\[([a-z* ]*)\]\s*$", line)
        if resource.startswith("[") or not verbs:
            continue  # Paths such as /healthz, open to everybody.
        name = resource.partition(".")[0] + (f"/{resource.partition('/')[2]}" if "/" in resource else "")
        if name not in EVERYBODYS:
            may |= {(name, verb) for verb in verbs[1].split()}
    return may


def namespaces() -> set[str]:
    """All in which a controller of ours has worked in this session, also those that are gone."""
    return set(re.findall(rf"system:serviceaccount:([a-z0-9-]+):{RELEASE}\"", AUDIT_LOG.read_text(encoding="utf-8")))

"""rcasctl against the real API server, as far as no controller is needed: none runs in this namespace."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.conftest import RCASCTL, SPEC, environment, rcasctl, refused
from cluster import machine
from cluster.machine import Kubectl, Object
from cluster.waiting import until
from rcas.crd import crd
from rcas.resource import DEFAULTS_KEY, DEFAULTS_LABEL, resource_of
from rcas.spec import build_spec

NAMESPACE = "t-rcasctl"
FIELDS: Object = {name: value for name, value in yaml.safe_load(SPEC).items() if name != "name"}
CONDITION = {"status": "True", "reason": "Why", "lastTransitionTime": "2026-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def kubectl(cluster: None) -> Iterator[Kubectl]:  # noqa: ARG001
    found = Kubectl(NAMESPACE)
    metadata = {"name": NAMESPACE, "labels": {"rcas.dev/test": "true"}}
    found.apply(crd(), {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    found("wait", "--for=condition=Established", "crd/searches.rcas.dev")
    yield found
    found("delete", "namespace", NAMESPACE, "--wait=false")


class User:
    """Somebody with a kubeconfig whose current context names the namespace, in an empty folder."""

    def __init__(self, kubectl: Kubectl, folder: Path) -> None:
        self.kubectl, self.folder = kubectl, folder
        self.write(yaml.safe_load(machine.KUBECONFIG.read_text()))
        (folder / "tiny.yaml").write_text(yaml.safe_dump(FIELDS))

    def write(self, config: Object) -> None:
        config["contexts"][0]["context"]["namespace"] = NAMESPACE
        (self.folder / "config").write_text(yaml.safe_dump(config))

    @property
    def variables(self) -> dict[str, str]:
        return {"KUBECONFIG": str(self.folder / "config")}

    def does(self, *arguments: object) -> str:
        done = rcasctl(*arguments, cwd=self.folder, **self.variables)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def refused(self, *arguments: object, code: int = 2) -> str:
        return refused(*arguments, cwd=self.folder, code=code, **self.variables)

    def submit(self, name: str, *arguments: object) -> str:
        return self.does("submit", "-f", "tiny.yaml", "--name", name, *arguments)

    def search(self, name: str) -> Object:
        found = self.kubectl.get("searches.rcas.dev", name)
        assert found, f"there is no search {name}"
        return found

    def says(self, name: str, phase: str, kind: str = "Ready", message: str = "", **fields: Any) -> None:
        """Write the status that a controller would write."""
        generation = self.search(name)["metadata"]["generation"]
        condition = {**CONDITION, "type": kind, "message": message, "observedGeneration": generation}
        status = {"phase": phase, "conditions": [condition], "observedGeneration": generation, **fields}
        patch = json.dumps({"status": status})
        self.kubectl("patch", "searches.rcas.dev", name, "--subresource=status", "--type=merge", "-p", patch)


@pytest.fixture
def user(kubectl: Kubectl, tmp_path: Path) -> Iterator[User]:
    yield User(kubectl, tmp_path)
    kubectl("delete", "searches.rcas.dev", "--all")
    kubectl("delete", "configmaps", "-l", DEFAULTS_LABEL)


def defaults(name: str, fields: Object) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {DEFAULTS_LABEL: "true"}}
    data = {DEFAULTS_KEY: yaml.safe_dump(fields)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def test_what_is_submitted_is_what_the_local_run_reads(user: User) -> None:
    said = user.submit("mine", "--image", "trainer:1", "--max-gpu-hours", "2.5", "--parallelism", "3")
    assert f"Search mine is submitted to the namespace {NAMESPACE}." in said
    assert "rcasctl watch mine" in said
    more = {"pod": {"image": "trainer:1"}, "limits": {"gpu_hours": 2.5}, "parallelism": 3}
    spec = build_spec({**FIELDS, **more, "name": "mine"})
    assert user.search("mine")["spec"] == resource_of(spec, NAMESPACE)["spec"]


def test_a_search_without_a_name_gets_one(user: User) -> None:
    told = [json.loads(user.does("submit", "-f", "tiny.yaml", "--json")) for _ in range(2)]
    assert len({found["search"] for found in told}) == 2
    assert all(user.search(found["search"]) and found["namespace"] == NAMESPACE for found in told)


def test_a_budget_is_enough_over_the_namespaces_defaults(user: User) -> None:
    rest = {name: value for name, value in FIELDS.items() if name != "budget"}
    assert "the namespace t-rcasctl has no defaults" in user.refused("submit", "--budget-params", "9k")
    user.kubectl.apply(defaults("ours", rest))
    user.does("submit", "--name", "small", "--budget-params", "9k")
    assert user.search("small")["spec"]["budget"] == {"params": 9000}
    assert user.search("small")["spec"]["data"] == FIELDS["data"]
    user.kubectl.apply(defaults("theirs", rest))
    assert "2 ConfigMaps" in user.refused("submit", "--budget-params", "9k")


def test_a_dry_run_creates_nothing_and_prints_what_would_be(user: User) -> None:
    printed = yaml.safe_load(user.submit("dry", "--dry-run"))
    assert user.kubectl.get("searches.rcas.dev", "dry") is None
    user.kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(printed))
    assert printed["spec"]["space"]["block_types"] == [1, 5]
    assert json.loads(user.submit("dry", "--dry-run", "--json"))["metadata"]["name"] == "dry"


def test_refusals_are_one_line_with_the_fields_name(user: User) -> None:
    user.submit("taken")
    line = user.refused("submit", "-f", "tiny.yaml", "--name", "taken")
    assert line == f"name: got 'taken', allowed: a name that no search in the namespace {NAMESPACE} has yet"
    assert user.refused("submit", "-f", "tiny.yaml", "--budget-params", "3").startswith("budget.params: got '3'")
    assert user.refused("submit", "-f", "tiny.yaml", "-n", "nowhere").startswith("namespace: got 'nowhere'")
    # What only the API server refuses.
    variables = [{"name": f"V{number}", "value": ""} for number in range(65)]
    (user.folder / "many.yaml").write_text(yaml.safe_dump({**FIELDS, "pod": {"env": variables}}))
    for more in ((), ("--dry-run",)):
        assert "spec.pod.env" in user.refused("submit", "-f", "many.yaml", *more)
    assert [search["metadata"]["name"] for search in user.kubectl.list("searches.rcas.dev")] == ["taken"]


def test_list_shows_what_the_resources_say(user: User) -> None:
    assert user.does("list") == "No searches yet.\n"
    user.submit("one")
    user.submit("two")
    best = {"best": "76.10%", "params": 2650, "madds": 58_048, "network": "1 / 1,5"}
    user.says("two", "Running", accepted=3, evaluations=40, running=2, **best)
    one, two = json.loads(user.does("list", "--json"))
    assert (one["search"], one["phase"], one["best"]) == ("one", "Pending", None)
    assert (two["phase"], two["blocks"], two["evaluations"], two["running"]) == ("Running", 3, 40, 2)
    assert two["best"] == {"network": "1 / 1,5", "accuracy": pytest.approx(0.761), "params": 2650, "madds": 58_048}
    header, _, last = user.does("list").splitlines()
    assert header.split() == ["search", "phase", "accepted", "evaluations", "best", "params", "madds", "age"]
    assert last.split()[:-1] == ["two", "Running", "3", "40", "76.10%", "2,650", "58,048"]


def test_without_a_controller_status_says_what_the_resource_says(user: User) -> None:
    user.submit("alone")
    user.says("alone", "Paused", message="paused by its user", evaluations=7)
    text = user.does("status", "alone")
    assert text.startswith("alone: Paused: paused by its user, began ")
    assert "7 evaluations" in text
    assert f"no controller runs in the namespace {NAMESPACE}" in text
    assert json.loads(user.does("status", "alone", "--json"))["evaluations"] == 7
    for command in ("result", "explain", "forecast"):
        assert user.refused(command, "alone", code=1) == f"no controller runs in the namespace {NAMESPACE}"


def test_switches_change_the_spec_and_nothing_else(user: User) -> None:
    user.submit("switched")
    spec = user.search("switched")["spec"]
    user.does("pause", "switched")
    assert user.search("switched")["spec"] == {**spec, "pause": True}
    user.does("resume", "switched")
    assert user.search("switched")["spec"] == {**spec, "pause": False}
    assert "is not paused" in user.does("resume", "switched")
    said = user.does("set", "switched", "--parallelism", 5, "--max-evaluations", 9, "--max-hours", 1.5)
    assert said == "Search switched: parallelism 5, evaluations at most 9, hours at most 1.5.\n"
    assert user.search("switched")["spec"]["limits"] == {"evaluations": 9, "hours": 1.5}
    user.does("set", "switched", "--max-evaluations", "none", "--parallelism", "none")
    assert user.search("switched")["spec"] == {
        **{name: value for name, value in spec.items() if name != "parallelism"},
        "pause": False,
        "limits": {"hours": 1.5},
    }
    user.does("cancel", "switched")
    assert user.search("switched")["spec"]["cancel"] is True
    for command in ("pause", "resume", "cancel"):
        assert "being cancelled" in user.refused(command, "switched")
    assert "search: got 'nosuch'" in user.refused("pause", "nosuch")


def test_a_failed_search_is_tried_again_when_it_is_resumed(user: User) -> None:
    """The controller tries again when the generation is another than the one that it has seen fail."""
    user.submit("failed")
    user.says("failed", "Failed", "Failed", "the evaluation of 1 / 1 failed 3 times")
    assert "is tried again" in user.does("resume", "failed")
    found = user.search("failed")
    assert found["metadata"]["generation"] > found["status"]["observedGeneration"]
    assert not found["spec"]["pause"]


@pytest.mark.parametrize(
    ("message", "flag"),
    [
        ("limits.evaluations: 5 are trained", "--max-evaluations"),
        ("limits.gpu_hours: 2 GPU-hours are used", "--max-gpu-hours"),
        ("limits.hours: 1.5 hours are over", "--max-hours"),
    ],
)
def test_a_limit_is_raised_not_resumed(user: User, message: str, flag: str) -> None:
    user.submit("limited")
    user.says("limited", "LimitReached", "BudgetExceeded", message)
    line = user.refused("resume", "limited")
    assert line.endswith(f"allowed: {message}: rcasctl set limited {flag} ...")


def test_what_has_ended_cannot_be_switched(user: User) -> None:
    user.submit("ended")
    user.says("ended", "Complete")
    for command in (["pause"], ["resume"], ["cancel"], ["set", "--parallelism", 2]):
        assert "ended, which is Complete" in user.refused(command[0], "ended", *command[1:])


def test_delete_asks_first(user: User) -> None:
    user.submit("doomed")
    user.says("doomed", "Complete", stateRef={"url": "s3://bucket/lab", "name": "t-rcasctl/doomed/u"})
    command = [RCASCTL, "delete", "doomed"]
    for answer in ("", "n\n"):
        variables = environment(**user.variables)
        done = subprocess.run(
            command, input=answer, env=variables, cwd=user.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 130
        assert "Delete the search doomed" in done.stderr
        assert user.search("doomed")
    said = user.does("delete", "doomed", "--yes")
    assert "rcasctl result t-rcasctl/doomed/u --store s3://bucket/lab" in said
    assert user.kubectl.get("searches.rcas.dev", "doomed") is None
    assert "search: got 'doomed'" in user.refused("delete", "doomed", "--yes")


@pytest.mark.parametrize(
    ("phase", "kind", "message", "code"),
    [
        ("Complete", "Complete", "", 0),
        ("Failed", "Failed", "the evaluation of 1 / 1 cannot be run: no image", 1),
        ("LimitReached", "BudgetExceeded", "limits.evaluations: 5 are trained", 1),
        ("Cancelled", "Ready", "cancelled by its user", 1),
    ],
)
def test_watch_ends_when_the_search_does(user: User, phase: str, kind: str, message: str, code: int) -> None:
    user.submit("watched")
    user.says("watched", "Running", evaluations=3, running=2)
    watching = watch(user)
    assert watching.stdout
    lines = iter(watching.stdout)
    until("the watch to see it", lambda: "3 evaluations done, 2 running" in next(lines))
    user.says("watched", phase, kind, message, evaluations=4, running=0)
    out, err = watching.communicate(timeout=30)
    assert watching.returncode == code, err
    assert "Traceback" not in err
    assert phase in out
    if code:
        assert err.strip() == f"Error: watched is {phase}: {message}"


def test_ctrl_c_ends_the_watching_and_not_the_search(user: User) -> None:
    user.submit("watched")
    watching = watch(user)
    assert watching.stdout
    assert "no controller runs" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert "The search goes on. To watch it again: rcasctl watch watched" in err
    assert not user.search("watched")["spec"].get("cancel")


def watch(user: User) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [RCASCTL, "watch", "watched"],
        env=environment(PYTHONUNBUFFERED="1", **user.variables),
        cwd=user.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_bash_completes_the_searches_of_the_cluster(user: User) -> None:
    user.submit("alpha")
    user.submit("beta")
    script = f"""
        eval "$({RCASCTL} completion bash)"
        COMP_WORDS=(rcasctl pause a); COMP_CWORD=2
        _rcasctl_completion {RCASCTL}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    for variables, offered in ((user.variables, ["alpha"]), ({"KUBECONFIG": "/nowhere"}, [])):
        done = subprocess.run(
            ["bash", "-c", script], cwd=user.folder, env=environment(**variables), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert (done.stdout.split(), done.stderr) == (offered, "")


def test_a_user_with_few_rights_sees_what_they_allow(user: User) -> None:
    """Rights on searches alone: list and status come from the resources, what else is asked for is named."""
    kubectl = user.kubectl
    kubectl("create", "serviceaccount", "guest")
    kubectl("create", "role", "guest", "--verb=get,list", "--resource=searches.rcas.dev")
    kubectl("create", "rolebinding", "guest", "--role=guest", f"--serviceaccount={NAMESPACE}:guest")
    user.submit("seen")
    config = yaml.safe_load((user.folder / "config").read_text())
    config["users"][0]["user"] = {"token": kubectl("create", "token", "guest").strip()}
    user.write(config)
    assert [row["search"] for row in json.loads(user.does("list", "--json"))] == ["seen"]
    text = user.does("status", "seen")
    assert "the controller cannot be found" in text
    assert "pods is forbidden" in text
    assert "patch" in user.refused("pause", "seen", code=1)
    assert "configmaps is forbidden" in user.refused("submit", "-f", "tiny.yaml", code=1)
    assert "jobs.batch is forbidden" in user.refused("logs", "seen", code=1)


def test_no_training_no_log(user: User) -> None:
    user.submit("quiet")
    done = rcasctl("logs", "quiet", cwd=user.folder, **user.variables)
    assert (done.returncode, done.stdout) == (0, "")
    assert "goes with its Job once its result is committed" in done.stderr
    assert "goes with its Job" in user.refused("logs", "quiet", "1 / 1")

"""Text of a spec or of a trainer stays text: in variables, paths, labels, logs, terminals and YAML."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.harness import a_protocol, a_spec
from rcas.controller.config import read_config
from rcas.controller.logs import JsonLines, TextLines
from rcas.errors import InvalidSpec, one_line
from rcas.evaluation import DataSource, Task, evaluation_key
from rcas.messages import JOB_VARIABLE
from rcas.pod import PodSpec
from rcas.resource import Resource
from rcas.runtimes.kubernetes.jobs import describe_job, evaluation_job
from rcas.runtimes.kubernetes.namespace import jobs_path, searches_path
from rcas.runtimes.kubernetes.observing import attempt_of
from rcas.spec import build_spec, parse_fields, parse_spec
from security.lab import LOCATION, NAMESPACE, Lab, a_search_spec, parsed

ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m"
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def a_resource(name: str = "search") -> Resource:
    return Resource({"metadata": {"name": name, "namespace": NAMESPACE, "uid": "0b5ee1f4-1"}, "spec": {}})


def a_task(**changes: Any) -> Task:
    spec, space = a_spec(), a_spec().space.build()
    protocol = a_protocol(spec)
    network = str(space.start)
    key = evaluation_key(space, space.start, protocol.sha256)
    return Task(key=key, space=space, network=network, protocol=protocol, **changes)


TEXTS = st.text(max_size=60) | st.sampled_from(
    [
        "$(AWS_SECRET_ACCESS_KEY)",
        "$$(A)",
        "$$$(A)",
        "$$$$",
        "a$",
        "$(A)$$$(B)",
        "`id`",
        "; rm -rf /",
        '"}',
        "\\",
        "\n- x",
        "{{ x }}",
        "$",
    ]
)


def expanded(value: str, variables: dict[str, str]) -> str:
    """What Kubernetes makes of a variable's value: $(NAME) is replaced, and $$ is $ whatever follows."""

    def replaced(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replaced, value)


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_a_trainer_gets_what_the_spec_says_and_no_variable_in_its_place(path: str) -> None:
    task = a_task(source=DataSource(path=path))
    job = evaluation_job(a_resource(), PodSpec(image="x"), LOCATION, "0123456789abcdef-1", task)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (value,) = [one["value"] for one in container["env"] if one["name"] == JOB_VARIABLE]
    told = json.loads(expanded(value, {"AWS_SECRET_ACCESS_KEY": "planted", "A": "planted", "B": "planted"}))
    assert told["task"]["source"]["path"] == path


def test_the_command_is_a_list_that_nothing_of_a_spec_is_in() -> None:
    job = evaluation_job(a_resource(), PodSpec(image="x"), LOCATION, "0123456789abcdef-1", a_task())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-m", "rcas_trainer", "job"]
    assert "args" not in container


EVERY_FIELD = PodSpec.model_validate(
    {
        "image": "mine:1",
        "labels": {"team": "x"},
        "annotations": {"note": "x"},
        "env": [{"name": "PATH", "value": "/evil"}, {"name": "OMP_NUM_THREADS", "value": "99"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "volumeMounts": [{"name": "v", "mountPath": "/opt"}],
        "resources": {"limits": {"cpu": 2}},
        "queueName": "q",
    }
)


@pytest.mark.parametrize("made", ["evaluation", "description"])
def test_a_spec_decides_nothing_about_what_a_pod_may_do(made: str) -> None:
    lab = Lab()
    lab.submit("x", a_search_spec())
    lab.turn()
    inquiry = parsed(lab.manifests[0])
    job = (
        evaluation_job(a_resource(), EVERY_FIELD, LOCATION, "0123456789abcdef-1", a_task())
        if made == "evaluation"
        else describe_job(a_resource(), EVERY_FIELD, inquiry)  # type: ignore[arg-type]
    )
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "nodeName", "shareProcessNamespace"} & set(pod)
    assert container["env"][-1]["name"] == JOB_VARIABLE, "of equal names the last counts"
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["rcas.dev/search-uid"] == "0b5ee1f4-1"
    assert labels["app.kubernetes.io/component"] == "trainer"
    assert "app.kubernetes.io/instance" not in labels, "the controller's port lets in pods with the release's"


@pytest.mark.parametrize(
    "field", ["securityContext", "hostNetwork", "initContainers", "containers", "nodeName", "command"]
)
def test_a_spec_has_no_other_fields_of_a_pod(field: str) -> None:
    with pytest.raises(InvalidSpec, match=f"pod.{field}: got 'an unknown field'"):
        build_spec({"name": "x", **a_search_spec(), "pod": {field: {}}})


def test_labels_names_and_annotations_of_every_job_are_of_their_form() -> None:
    lab = Lab()
    lab.submit("a-" + "x" * 49 + "-b", a_search_spec())
    lab.turn(6)
    assert len(lab.manifests) > 3
    for job in lab.manifests:
        metadata = job["metadata"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,54}[a-z0-9])?", metadata["name"])
        for value in (*metadata["labels"].values(), *job["spec"]["template"]["metadata"]["labels"].values()):
            assert LABEL.fullmatch(value), value
        for value in job["spec"]["template"]["metadata"].get("annotations", {}).values():
            assert re.fullmatch(r"[0-9a-f,/ -]+", value), value


def test_nothing_of_another_namespace_is_named_anywhere() -> None:
    """Every path at the API server, and every object that is created, is of the controller's own namespace."""
    lab = Lab()
    lab.submit("search", a_search_spec())
    lab.run("search")
    for _, path in lab.requests:
        assert path.split("/namespaces/")[1].split("/")[0] == NAMESPACE
        assert ".." not in path
    for job in lab.manifests:
        assert job["metadata"]["namespace"] == NAMESPACE
        text = json.dumps(job["spec"]["template"])
        assert '"namespace"' not in text
    names = lab.store.names("searches/")
    assert names
    assert all(name.startswith(f"searches/{NAMESPACE}/search/") for name in names)


@pytest.mark.parametrize("name", ["../other", "a/b", "..", "a.b", "A", "a" * 54, "", "a\n", "-a", "a-"])
def test_a_search_with_a_name_that_is_none_fails_alone(name: str) -> None:
    """The API server and the schema let none of them in."""
    lab = Lab()
    lab.submit("good", a_search_spec())
    lab.submit("bad", a_search_spec())
    collection = lab.server.all(searches_path(NAMESPACE))
    collection["bad"]["metadata"]["name"] = name
    lab.server.touch(searches_path(NAMESPACE), collection["bad"])
    lab.run("good")
    assert all("/good/" in name for name in lab.store.names("searches/"))
    assert all(job["metadata"]["name"].startswith("good-") for job in lab.server.all(jobs_path(NAMESPACE)).values())


def test_what_a_container_says_is_one_line_without_control_characters() -> None:
    job = {
        "metadata": {"name": "j", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "x", "message": ESCAPES}]},
    }
    terminated = {
        "exitCode": 1,
        "message": f"first\n{ESCAPES} last {'x' * 5000}",
        "finishedAt": "2026-01-01T00:00:00Z",
    }
    pod = {
        "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"containerStatuses": [{"name": "trainer", "state": {"terminated": terminated}}]},
    }
    evicted = {"metadata": pod["metadata"], "status": {"message": ESCAPES}}
    for pods in ([pod], [evicted], []):
        message = attempt_of(job, pods, 1e9, 30, 0).message
        assert message.isprintable()
        assert len(message) <= 600


@settings(deadline=None, max_examples=200)
@given(st.text(), st.integers(3, 400))
def test_one_line_is_one_short_printable_line(text: str, longest: int) -> None:
    line = one_line(text + ESCAPES, longest)
    assert line.isprintable()
    assert len(line) <= longest


@pytest.mark.parametrize("formatter", [JsonLines(), TextLines("%(asctime)s %(levelname)s %(message)s")])
def test_a_line_of_the_log_stays_one_line(formatter: Any) -> None:
    record = logging.makeLogRecord(
        {"msg": "search failed", "reason": f"a\nERROR forged\r\n{ESCAPES}", "search": "x\ny"}
    )
    line = formatter.format(record)
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join([f'*{chr(97 + level)}'] * 9)}]\n" for level in range(4)
)
YAML: dict[str, str] = {
    "aliases that grow": BOMB,
    "an alias": "a: &a 1\nb: *a",
    "an object of Python": "a: !!python/object/apply:os.system ['true']",
    "a name of Python": "a: !!python/name:os.system",
    "a merge": "a: &a {x: 1}\nb: {<<: *a}",
    "the same key twice": "store: s3://a\nstore: s3://b",
    "nested deep": "[" * 5000,
    "no mapping": "- a",
    "nothing": "",
    "a tag of its own": "a: !evil x",
    "a date that is none": "a: 2026-99-99",
    "a number that is none": "a: 0x",
    "a huge number": f"a: {'9' * 5000}",
    "control characters": "a: \x00",
}


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
def test_yaml_that_is_more_than_data_is_refused_wherever_it_is_read(text: str, tmp_path: Any) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    for read in (lambda: parse_spec(text), lambda: read_config(path)):
        with pytest.raises(InvalidSpec) as caught:
            read()
        assert len(str(caught.value)) < 1000
        assert str(caught.value).isprintable()


def test_the_bomb_is_one() -> None:
    """PyYAML's own safe loader reads it. Each further level, of 30 bytes, would make it nine times as large."""
    found = yaml.safe_load(BOMB)
    assert len(BOMB) < 250
    assert len(str(found["e"])) > 30_000


def test_the_namespaces_defaults_and_the_controllers_configuration_are_read_as_a_spec_is() -> None:
    """Anybody who may write ConfigMaps can write what rcasctl reads on its user's machine."""
    from rcas.cli.forecast import with_controller
    from rcas.cli.submit import complete_spec

    class Written:
        namespace = NAMESPACE

        def defaults(self) -> str:
            return BOMB

        def controller_config(self) -> str:
            return BOMB

    remote: Any = Written()
    with pytest.raises(InvalidSpec, match="an alias"):
        complete_spec({"budget": {"params": "1M"}}, remote)
    spec = a_spec()
    assert with_controller(spec, remote) == spec
    assert parse_fields("a: 1") == {"a": 1}

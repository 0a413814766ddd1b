"""The chart, rendered by helm: every toggle off and on, and what its values must not say."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.tools import CHART, STORE, Object, refused, render, run, template
from rcas.controller.config import Allowed, Config, PageConfig, read_config
from rcas.crd import PERMISSIONS, crd
from rcas.location import ADDRESSING_VARIABLE, ENCRYPTION_VARIABLE, KMS_KEY_VARIABLE, S3Settings
from rcas.pod import PodSpec
from rcas.resource import DEFAULTS_KEY, DEFAULTS_LABEL

DEFAULT = {
    "ConfigMap/rcas-config",
    "CustomResourceDefinition/searches.rcas.dev",
    "Deployment/rcas",
    "NetworkPolicy/rcas",
    "NetworkPolicy/rcas-trainers",
    "Pod/rcas-doctor",
    "Role/rcas",
    "RoleBinding/rcas",
    "Service/rcas",
    "ServiceAccount/rcas",
    "ServiceAccount/rcas-trainer",
}
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
OWN_ALLOW: Any = {
    "accounts": ["reader"],
    "secrets": ["registry"],
    "volumes": ["persistentVolumeClaim", "nfs"],
    "labels": ["team"],
}
OWN_S3 = {
    "url": "s3://bucket",
    "endpoint": "https://s3.example:9000",
    "region": "us-east-1",
    "addressingStyle": "path",
    "sse": "aws:kms",
    "sseKmsKeyId": "alias/rcas",
    "existingSecret": "rcas-store",
    "caBundle": {"configMap": "company-ca"},
}


def controller(made: dict[str, Object]) -> Object:
    (container,) = made["Deployment/rcas"]["spec"]["template"]["spec"]["containers"]
    return container


def config(made: dict[str, Object], folder: Path) -> Config:
    path = folder / "config.yaml"
    path.write_text(made["ConfigMap/rcas-config"]["data"]["config.yaml"], encoding="utf-8")
    return read_config(path)


def environment(container: Object) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def test_a_store_is_all_that_it_needs() -> None:
    assert set(render()) == DEFAULT


def test_lint_finds_nothing() -> None:
    done = run("helm", "lint", CHART, "--strict", "--set", f"store.url={STORE}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((CHART / "ci").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_of_values_render(path: Path) -> None:
    done = template("--values", path)
    assert done.returncode == 0, done.stderr


def test_every_object_lies_in_the_release_namespace_and_says_whose_it_is() -> None:
    for name, made in render(ALL).items():
        if made["kind"] == "CustomResourceDefinition":
            continue
        assert made["metadata"]["namespace"] == "lab", name
        assert made["metadata"]["labels"]["app.kubernetes.io/instance"] == "rcas", name


def test_two_releases_have_no_name_in_common() -> None:
    first, second = set(render()), set(render(release="other"))
    assert first & second == {"CustomResourceDefinition/searches.rcas.dev"}
    assert "Deployment/other-rcas" in second


MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
INGRESS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
ALL: dict[str, Any] = {
    "page": {"enabled": True},
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboard": {"enabled": True},
    "searchDefaults": {"space": {"classes": 10}},
}


# Toggles: values that turn it off, values that turn it on, the objects that come and go.
@pytest.mark.parametrize(
    ("off", "on", "kinds"),
    [
        ({"crds": {"install": False}}, {}, {"CustomResourceDefinition/searches.rcas.dev"}),
        ({"rbac": {"create": False}}, {}, {"Role/rcas", "RoleBinding/rcas"}),
        ({"serviceAccount": {"create": False}}, {}, {"ServiceAccount/rcas", "ServiceAccount/rcas-trainer"}),
        ({"networkPolicy": {"enabled": False}}, {}, {"NetworkPolicy/rcas", "NetworkPolicy/rcas-trainers"}),
        ({}, {"serviceMonitor": {"enabled": True}}, {"ServiceMonitor/rcas"}),
        ({}, {"prometheusRule": {"enabled": True}}, {"PrometheusRule/rcas"}),
        ({}, {"dashboard": {"enabled": True}}, {"ConfigMap/rcas-dashboard"}),
        ({}, {"searchDefaults": {"space": {"classes": 10}}}, {"ConfigMap/rcas-defaults"}),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_toggle_brings_its_objects_and_no_others(off: Object, on: Object, kinds: set[str]) -> None:
    assert set(render(on)) - set(render(off)) == kinds
    assert set(render(off)) <= set(render(on))


def test_the_role_has_exactly_the_verbs_that_the_code_uses() -> None:
    made = render()
    assert made["Role/rcas"]["rules"] == list(PERMISSIONS)
    assert made["RoleBinding/rcas"]["subjects"] == [{"kind": "ServiceAccount", "name": "rcas", "namespace": "lab"}]


def test_the_crd_is_the_codes_and_survives_an_uninstall() -> None:
    made = render()["CustomResourceDefinition/searches.rcas.dev"]
    assert made["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert made == crd()


def test_one_controller_at_a_time_that_may_do_nothing_on_its_node() -> None:
    made = render()
    spec = made["Deployment/rcas"]["spec"]
    pod = spec["template"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert controller(made)["securityContext"] == RESTRICTED
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {"name": "tmp", "emptyDir": {}} in pod["volumes"]
    assert made["Pod/rcas-doctor"]["spec"]["containers"][0]["securityContext"] == RESTRICTED
    assert made["Pod/rcas-doctor"]["spec"]["automountServiceAccountToken"] is False


def test_selectors_do_not_change_with_the_version() -> None:
    made = render()
    fixed = {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component")}
    for selector in (
        made["Deployment/rcas"]["spec"]["selector"]["matchLabels"],
        made["Service/rcas"]["spec"]["selector"],
        made["NetworkPolicy/rcas"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert set(selector) == fixed


def test_a_changed_configuration_restarts_the_controller() -> None:
    def checksum(values: Object) -> str:
        return render(values)["Deployment/rcas"]["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum({}) == checksum({"dashboard": {"enabled": True}})
    assert checksum({}) != checksum({"trainer": {"image": "trainer:2"}})


def test_the_default_configuration(tmp_path: Path) -> None:
    pod = PodSpec(image="rcas-trainer:0.1.0", serviceAccountName="rcas-trainer")
    assert config(render(), tmp_path) == Config(store=STORE, pod=pod)


def test_controller_trainings_and_doctor_reach_an_own_s3_alike(tmp_path: Path) -> None:
    made = render({"store": OWN_S3})
    told = {
        "AWS_CA_BUNDLE": "/etc/rcas/ca/ca.crt",
        "AWS_ENDPOINT_URL_S3": "https://s3.example:9000",
        "AWS_REGION": "us-east-1",
        ADDRESSING_VARIABLE: "path",
        ENCRYPTION_VARIABLE: "aws:kms",
        KMS_KEY_VARIABLE: "alias/rcas",
    }
    pod = config(made, tmp_path).pod
    (doctor,) = made["Pod/rcas-doctor"]["spec"]["containers"]
    assert environment(controller(made)) == environment(doctor) == told
    assert {entry["name"]: entry["value"] for entry in pod.env} == told
    assert S3Settings.of(told).addressing_style == "path"
    secret = [{"secretRef": {"name": "rcas-store"}}]
    assert controller(made)["envFrom"] == doctor["envFrom"] == list(pod.envFrom) == secret
    mount = {"name": "rcas-ca", "mountPath": "/etc/rcas/ca", "readOnly": True}
    volume = {"name": "rcas-ca", "configMap": {"name": "company-ca"}}
    assert list(pod.volumeMounts) == [mount]
    assert list(pod.volumes) == [volume]
    for spec in (made["Deployment/rcas"]["spec"]["template"]["spec"], made["Pod/rcas-doctor"]["spec"]):
        assert volume in spec["volumes"]
        assert mount in spec["containers"][0]["volumeMounts"]
    assert doctor["command"][:4] == ["rcasctl", "doctor", "--store", "s3://bucket"]


def test_trainings_may_have_credentials_of_their_own(tmp_path: Path) -> None:
    made = render({"store": {**OWN_S3, "trainerSecret": "rcas-trainer-store"}})
    assert list(config(made, tmp_path).pod.envFrom) == [{"secretRef": {"name": "rcas-trainer-store"}}]
    (doctor,) = made["Pod/rcas-doctor"]["spec"]["containers"]
    assert controller(made)["envFrom"] == doctor["envFrom"] == [{"secretRef": {"name": "rcas-store"}}]


def test_a_ca_from_a_secret(tmp_path: Path) -> None:
    made = render({"store": {"url": STORE, "caBundle": {"secret": "company-ca", "key": "ca.pem"}}})
    assert environment(controller(made)) == {"AWS_CA_BUNDLE": "/etc/rcas/ca/ca.pem"}
    assert list(config(made, tmp_path).pod.volumes) == [{"name": "rcas-ca", "secret": {"secretName": "company-ca"}}]


def test_what_is_said_of_trainings_arrives_beside_the_store(tmp_path: Path) -> None:
    trainer = {
        "image": "trainer:1",
        "resources": {"limits": {"nvidia.com/gpu": 1}},
        "nodeSelector": {"pool": "gpu"},
        "env": [{"name": "A", "value": "b"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "activeDeadlineSeconds": 2_000_000,
        "queueName": "team-a",
        "serviceAccountName": "own",
    }
    pull = [{"name": "pull"}]
    made = render({"store": OWN_S3, "trainer": trainer, "imagePullSecrets": pull})
    pod = config(made, tmp_path).pod
    assert (pod.image, pod.queueName, pod.gpus, pod.serviceAccountName) == ("trainer:1", "team-a", 1, "own")
    assert pod.activeDeadlineSeconds == 2_000_000
    assert pod.env[-1] == {"name": "A", "value": "b"}
    assert [volume["name"] for volume in pod.volumes] == ["rcas-ca", "data"]
    assert [mount["name"] for mount in pod.volumeMounts] == ["rcas-ca", "data"]
    assert list(pod.imagePullSecrets) == pull
    assert made["Deployment/rcas"]["spec"]["template"]["spec"]["imagePullSecrets"] == pull


def test_every_field_of_a_pod_can_be_a_default() -> None:
    filled: dict[str, Any] = {
        **dict.fromkeys(("image", "priorityClassName", "runtimeClassName", "serviceAccountName", "queueName"), "x"),
        **{name: {} for name in ("resources", "affinity", "nodeSelector", "labels", "annotations")},
        **{name: [] for name in ("imagePullSecrets", "tolerations", "env", "envFrom", "volumes", "volumeMounts")},
        **dict.fromkeys(("activeDeadlineSeconds", "terminationGracePeriodSeconds"), 5),
        "imagePullPolicy": "Never",
    }
    assert set(filled) == set(PodSpec.model_fields)
    render({"trainer": filled})


def test_overrides_of_the_controller(tmp_path: Path) -> None:
    given = {
        "resources": {"limits": {"memory": "2Gi"}},
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
    }
    made = render(
        {
            "image": {"repository": "own/controller", "tag": "9", "pullPolicy": "Always"},
            "controller": {**given, "parallelism": 3, "logFormat": "text", "podAnnotations": {"note": "hello"}},
            "service": {"port": 9090},
        }
    )
    template_ = made["Deployment/rcas"]["spec"]["template"]
    container = controller(made)
    assert container["resources"]["limits"] == {"memory": "2Gi"}
    assert {name: template_["spec"][name] for name in given if name != "resources"} == {
        name: value for name, value in given.items() if name != "resources"
    }
    assert template_["metadata"]["annotations"]["note"] == "hello"
    assert (container["image"], container["imagePullPolicy"]) == ("own/controller:9", "Always")
    assert container["ports"] == [{"name": "http", "containerPort": 9090}]
    read = config(made, tmp_path)
    assert (read.parallelism, read.log_format, read.port) == (3, "text", 9090)


def test_an_identity_of_the_cloud_goes_to_both_accounts() -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/rcas"}
    made = render({"serviceAccount": {"annotations": role, "name": "ours"}})
    for name in ("ServiceAccount/ours", "ServiceAccount/ours-trainer"):
        assert made[name]["metadata"]["annotations"] == role
        assert made[name]["automountServiceAccountToken"] is False
    assert made["Deployment/rcas"]["spec"]["template"]["spec"]["serviceAccountName"] == "ours"
    assert made["RoleBinding/rcas"]["subjects"][0]["name"] == "ours"


def test_the_trainings_identity_may_be_another() -> None:
    role, lesser = {"role": "rcas"}, {"role": "rcas-trainer"}
    made = render({"serviceAccount": {"annotations": role, "trainerAnnotations": lesser}})
    assert made["ServiceAccount/rcas"]["metadata"]["annotations"] == role
    assert made["ServiceAccount/rcas-trainer"]["metadata"]["annotations"] == lesser


def test_what_searches_may_ask_for(tmp_path: Path) -> None:
    assert config(render(), tmp_path).allow == Allowed()
    made = render({"allow": OWN_ALLOW, "controller": {"mostParallelism": 7}})
    assert config(made, tmp_path).allow == Allowed.model_validate(OWN_ALLOW)
    assert config(made, tmp_path).parallelism_of(1000) == 7


def test_nobody_reaches_a_training_and_only_named_peers_the_controller() -> None:
    made = render({"networkPolicy": {"ingressFrom": [MONITORING]}})
    trainers, spec = made["NetworkPolicy/rcas-trainers"]["spec"], made["NetworkPolicy/rcas"]["spec"]
    assert trainers["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "trainer"
    assert trainers["policyTypes"] == ["Ingress"]
    assert "ingress" not in trainers
    ((rule),) = spec["ingress"]
    assert rule["ports"] == [{"port": "http"}]
    assert rule["from"][1:] == [MONITORING]
    assert spec["policyTypes"] == ["Ingress"], "egress is open unless it is asked for"


def test_the_page_is_served_only_if_it_is_asked_for_and_then_on_a_port_of_its_own(tmp_path: Path) -> None:
    assert config(render(), tmp_path).page is None
    made = render({"page": {"enabled": True, "port": 9090, "hosts": ["searches.example"]}})
    assert config(made, tmp_path).page == PageConfig(port=9090, hosts=("rcas.lab.svc", "searches.example"))
    assert controller(made)["ports"][1:] == [{"name": "page", "containerPort": 9090}]
    assert made["Service/rcas"]["spec"]["ports"][1:] == [{"name": "page", "port": 9090, "targetPort": "page"}]


def test_the_page_has_visitors_of_its_own() -> None:
    def rules(**policy: Any) -> list[Object]:
        values = {"page": {"enabled": True}, "networkPolicy": {"ingressFrom": [MONITORING], **policy}}
        return render(values)["NetworkPolicy/rcas"]["spec"]["ingress"]

    # A rule without peers would let in everybody.
    assert [rule["ports"] for rule in rules()] == [[{"port": "http"}]]
    http, page = rules(pageFrom=[INGRESS])
    assert (http["ports"], http["from"][1:]) == ([{"port": "http"}], [MONITORING])
    assert (page["ports"], page["from"]) == ([{"port": "page"}], [INGRESS])


def test_restricted_egress_leaves_dns_the_api_server_and_the_store() -> None:
    egress = {
        "restrict": True,
        "dnsPorts": [53, 1053],
        "apiServerCidrs": ["10.0.0.1/32"],
        "storeCidrs": ["10.0.1.0/24", "fd00::/64"],
        "storePort": 9000,
    }
    spec = render({"networkPolicy": {"egress": egress}})["NetworkPolicy/rcas"]["spec"]
    dns, api, store = spec["egress"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {
        (port, protocol) for port in (53, 1053) for protocol in ("UDP", "TCP")
    }
    assert api == {"ports": [{"port": 6443}], "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}
    assert store["ports"] == [{"port": 9000}]
    assert [peer["ipBlock"]["cidr"] for peer in store["to"]] == ["10.0.1.0/24", "fd00::/64"]


def test_restricted_trainings_reach_dns_and_the_store_alone() -> None:
    egress = {"restrictTrainers": True, "storeCidrs": ["10.0.1.0/24"], "storePort": 9000}
    made = render({"networkPolicy": {"egress": egress}})
    spec = made["NetworkPolicy/rcas-trainers"]["spec"]
    dns, store = spec["egress"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert store == {"ports": [{"port": 9000}], "to": [{"ipBlock": {"cidr": "10.0.1.0/24"}}]}
    assert made["NetworkPolicy/rcas"]["spec"]["policyTypes"] == ["Ingress"]


def test_what_submit_lays_under_a_spec() -> None:
    given = {"space": {"skeleton": "cifar", "classes": 10}, "data": {"dataset": "cifar10", "path": "/data"}}
    made = render({"searchDefaults": given})["ConfigMap/rcas-defaults"]
    assert made["metadata"]["labels"][DEFAULTS_LABEL] == "true"
    assert yaml.safe_load(made["data"][DEFAULTS_KEY]) == given


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "store.url is required"),
        ({"store": {"url": "bucket"}}, "/store/url"),
        ({"store": {"url": STORE, "bucket": "b"}}, "additional properties 'bucket' not allowed"),
        ({"store": {"url": STORE, "endpoint": "s3.example"}}, "/store/endpoint"),
        ({"store": {"url": STORE, "addressingStyle": "folder"}}, "/store/addressingStyle"),
        ({"store": {"url": STORE, "sseKmsKeyId": "key"}}, "/store/sse"),
        ({"store": {"url": STORE, "caBundle": {"secret": "a", "configMap": "b"}}}, "/store/caBundle"),
        ({"store": {"url": STORE}, "replicas": 2}, "additional properties 'replicas' not allowed"),
        ({"store": {"url": STORE}, "trainer": {"imag": "x"}}, "additional properties 'imag' not allowed"),
        ({"store": {"url": STORE}, "trainer": {"imagePullPolicy": "Sometimes"}}, "/trainer/imagePullPolicy"),
        ({"store": {"url": STORE}, "searchDefaults": {"data": {"datset": "x"}}}, "'datset' not allowed"),
        ({"store": {"url": STORE}, "searchDefaults": {"training": {"epochs": 0}}}, "/searchDefaults/training/epochs"),
        ({"store": {"url": STORE}, "controller": {"parallelism": 0}}, "/controller/parallelism"),
        ({"store": {"url": STORE}, "allow": {"hostPath": True}}, "'hostPath' not allowed"),
        ({"store": {"url": STORE}, "allow": {"secrets": "*"}}, "/allow/secrets"),
        ({"store": {"url": STORE}, "controller": {"logFormat": "xml"}}, "/controller/logFormat"),
        ({"store": {"url": STORE}, "service": {"port": 70000}}, "/service/port"),
        (
            {"store": {"url": STORE}, "page": {"enabled": True, "port": 8080}},
            "page.port must differ from service.port",
        ),
        ({"store": {"url": STORE}, "page": {"enabled": True, "hosts": ["http://a"]}}, "/page/hosts/0"),
        ({"store": {"url": STORE}, "networkPolicy": {"egress": {"restrict": True}}}, "/networkPolicy/egress"),
        ({"store": {"url": STORE}, "networkPolicy": {"egress": {"restrictTrainers": True}}}, "/networkPolicy/egress"),
        ({"store": {"url": STORE}, "serviceMonitor": {"interval": "soon"}}, "/serviceMonitor/interval"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_that_mean_nothing_are_refused_with_their_name(values: Object, says: str) -> None:
    assert says in refused(values)


def test_the_notes_name_the_next_two_commands(tmp_path: Path) -> None:
    # Only `helm install` shows notes, and it needs a cluster: so they are made a template like the others.
    chart = Path(shutil.copytree(CHART, tmp_path / "rcas"))
    lines = (chart / "templates" / "NOTES.txt").read_text(encoding="utf-8").splitlines()
    wrapped = "\n".join(["notes: |", *(f"  {line}" for line in lines)])
    (chart / "templates" / "notes.yaml").write_text(wrapped, encoding="utf-8")
    notes = template("--set", f"store.url={STORE}", "--show-only", "templates/notes.yaml", chart=chart).stdout
    assert "rcasctl submit -n lab" in notes
    assert "rcasctl watch -n lab" in notes
    assert "port-forward" not in notes
    args = ("--set", "page.enabled=true", "--show-only", "templates/notes.yaml")
    notes = template("--set", f"store.url={STORE}", *args, chart=chart).stdout
    assert "kubectl port-forward -n lab service/rcas 8081" in notes

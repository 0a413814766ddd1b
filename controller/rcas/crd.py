"""The CustomResourceDefinition of `Search`, made from the models that the controller reads it with.

The API server refuses what a structural schema and short CEL rules can tell, with the field's name. `build_spec`
remains the judge: what only it can tell stands in the resource's status.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from rcas import crd_details as details
from rcas.crd_details import Schema
from rcas.resource import GROUP, KIND, MUTABLE_FIELDS, PLURAL, VERSION, ResourceSpec, Status

NAME = f"{PLURAL}.{GROUP}"
"""Name of the CustomResourceDefinition."""

PERMISSIONS = (
    {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["list", "watch"]},
    {"apiGroups": [GROUP], "resources": [f"{PLURAL}/status"], "verbs": ["patch"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "delete", "get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
)
"""Rules of the controller's Role: what it does in its namespace, and nothing else."""


def crd() -> dict[str, Any]:
    """The CustomResourceDefinition, ready to be applied."""
    # No category `all`: `kubectl delete all --all` must not end a search of a week.
    names = {
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": PLURAL,
        "singular": KIND.lower(),
        "shortNames": ["rcas"],
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _resource()},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(*column) for column in details.COLUMNS],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def crd_text(annotations: Mapping[str, str] | None = None) -> str:
    """The CustomResourceDefinition as YAML."""
    made = crd()
    if annotations:
        made["metadata"]["annotations"] = dict(annotations)
    return yaml.safe_dump(made, sort_keys=False, width=110)


def described(text: str) -> tuple[str, dict[str, str]]:
    """A docstring's first part, and what its `Attributes:` section says of each."""
    head, _, tail = text.partition("\n\nAttributes:\n")
    attributes = dict(re.findall(r"^ {4}(\w+): (.+)$", tail, re.MULTILINE))
    return " ".join(head.split()), attributes


def _resource() -> Schema:
    spec = _structural(ResourceSpec.model_json_schema(), "spec")
    status = _structural(Status.model_json_schema(), "status")
    spec["x-kubernetes-validations"] += [*_immutable(spec), _stays_cancelled()]
    spec["description"] = "The search that is asked for; only " + ", ".join(MUTABLE_FIELDS) + " may change later."
    status["description"] = "What the controller last saw; of the same size, whatever the search has done."
    conditions = status["properties"]["conditions"]
    conditions |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    conditions["items"]["properties"]["lastTransitionTime"]["format"] = "date-time"
    name_rule = (
        "self.metadata.name.matches('^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$')",
        "at most 53 lower case letters, digits and '-', because it becomes a part of labels and paths",
        ".metadata.name",
    )
    return {
        "description": "A search for the most accurate network within a budget of parameters and multiply-adds.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this form."},
            "kind": {"type": "string", "description": f"{KIND}."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": spec,
            "status": status,
        },
        "x-kubernetes-validations": [_rule(*name_rule)],
    }


def _immutable(spec: Schema) -> list[Schema]:
    """One rule for each fixed field, so that the message names it."""
    rules = list[Schema]()
    for name in spec["properties"]:
        if name in MUTABLE_FIELDS:
            continue
        same = f"self.{name} == oldSelf.{name}"
        if name not in spec["required"]:
            same = f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || {same})"
        message = f"spec.{name} is fixed once the search exists; give the changed search another name"
        rules.append(_rule(same, message, f".{name}"))
    return rules


def _stays_cancelled() -> Schema:
    rule = "!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)"
    return _rule(rule, "a cancelled search stays cancelled; start it anew under another name", ".cancel")


def _rule(rule: str, message: str, field_path: str) -> Schema:
    made = {"rule": rule, "message": message}
    return made | {"fieldPath": field_path} if field_path else made


def _column(name: str, type_: str, path: str, priority: int) -> Schema:
    column: Schema = {"name": name, "type": type_, "jsonPath": path}
    meaning = details.MEANINGS.get(path.removeprefix("."))
    return column | ({"description": meaning} if meaning else {}) | ({"priority": priority} if priority else {})


def _structural(schema: Schema, path: str) -> Schema:
    """A model's JSON Schema as Kubernetes wants it: no references, no unions with null, no lists of fixed items."""
    return _node(schema, schema.get("$defs", {}), path)


def _node(node: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    node = _resolved(node, definitions)
    made: Schema = {}
    text = _description(node, path)
    if text:
        made["description"] = text
    if "anyOf" in node:
        return made | _whole_number_or_text(node["anyOf"])
    made["type"] = node["type"]
    for name in ("enum", "pattern", "minimum", "maximum", "minItems", "maxItems", "maxLength"):
        if name in node:
            made[name] = node[name]
    for name in ("Minimum", "Maximum"):
        # In OpenAPI 3.0 the bound is the plain one, and `exclusive...` says that it is not reached.
        if f"exclusive{name}" in node:
            made |= {name.lower(): node[f"exclusive{name}"], f"exclusive{name}": True}
    made |= details.BOUNDS.get(path, {})
    if made["type"] == "object":
        made |= _object(node, definitions, path)
    elif made["type"] == "array":
        items = node["prefixItems"][0] if "prefixItems" in node else node["items"]
        made["items"] = _node(items, definitions, f"{path}[]")
        made.setdefault("maxItems", details.MOST_ITEMS.get(path, details.ITEMS))
    elif made["type"] == "string" and "enum" not in made:
        made.setdefault("maxLength", details.LENGTH)
    elif made["type"] == "integer":
        made["format"] = "int64"
    if path in details.RULES:
        made["x-kubernetes-validations"] = [_rule(*rule) for rule in details.RULES[path]]
    return made


def _resolved(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """`node` with what it refers to put in, and without null: a field that may be null may be left out."""
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        rest = {name: value for name, value in node.items() if name not in {"$ref", "default"}}
        return _resolved({**target, "docstring": target.get("description", ""), **rest}, definitions)
    # A file's name is for rcasctl, which puts the file's content in its place.
    options = [o for o in node.get("anyOf", []) if o.get("type") != "null" and o.get("format") != "path"]
    if len(options) == 1:
        rest = {name: value for name, value in node.items() if name != "anyOf"}
        return _resolved({**options[0], **rest}, definitions)
    return node


def _description(node: Schema, path: str) -> str:
    text = details.MEANINGS.get(path) or described(node.get("description", ""))[0]
    default = node.get("default")
    told_elsewhere = path.startswith(("status", "spec.retrain.training"))
    if not text or told_elsewhere or default is None or default in ([], {}):
        return text
    return f"{text} Default: {default if isinstance(default, str) else json.dumps(default)}."


def _object(node: Schema, definitions: dict[str, Schema], path: str) -> Schema:
    if "properties" in node:
        attributes = described(node.get("docstring", ""))[1]
        properties = dict[str, Schema]()
        for name, field in node["properties"].items():
            if f"{path}.{name}" == "spec.name":
                continue
            told = {"description": attributes[name][:1].upper() + attributes[name][1:]} if name in attributes else {}
            properties[name] = _node({**told, **field}, definitions, f"{path}.{name}")
        required = node.get("required")
        return {"properties": properties} | ({"required": required} if required else {})
    if isinstance(node.get("additionalProperties"), dict):
        values = _node(node["additionalProperties"], definitions, f"{path}.*")
        return {"additionalProperties": values, "maxProperties": details.ENTRIES}
    return _of_kubernetes(path)


def _of_kubernetes(path: str) -> Schema:
    """An object whose fields are those of the cluster's version."""
    told = {"description": "As in Kubernetes."}
    properties = {name: told | copy.deepcopy(field) for name, field in details.KUBERNETES[path].items()}
    made: Schema = {"properties": properties, "x-kubernetes-preserve-unknown-fields": True}
    return made | ({"required": details.NEEDED[path]} if path in details.NEEDED else {})


def _whole_number_or_text(options: list[Schema]) -> Schema:
    number, text = sorted(options, key=lambda option: option["type"])
    made: Schema = {**copy.deepcopy(details.QUANTITY), "minimum": number["minimum"], "maxLength": 40}
    if "const" in text:
        return made | {"pattern": f"^{text['const']}$"}
    if "pattern" in text:
        return made | {"maximum": 10**15, "pattern": text["pattern"]}
    return made | {"maximum": 10**15, "x-kubernetes-validations": [_rule(*details.COUNT_RULE)]}

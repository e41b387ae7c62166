"""Compose file, provisioning, collector and Kubernetes: what they name exists.

Nothing is started here: there is no Docker, and no Grafana to be had.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from dashboards import GENERATED
from tracer.names import Attribute, GenAI, SpanKind

type Yaml = dict[str, Any]

COLLECTOR = GENERATED / "collector" / "collector.yaml"
_HOME = PurePosixPath("/otel-lgtm")
_PROVISIONED = _HOME / "grafana/conf/provisioning"
_PORTS = {3000: "Grafana", 4317: "OTLP", 4318: "OTLP", 9090: "Prometheus"}
"""Those that the image exposes and this project uses."""
_BY_HAND = {"./plugins", "${RETROSPAN_WAREHOUSE_FOLDER:-../retrospan-demo}"}
"""What the reader brings: the file says how."""


def _loaded(path: Path) -> Yaml:
    loaded: Yaml = yaml.safe_load(path.read_text())
    return loaded


def _mounts(compose: Yaml) -> Iterator[tuple[str, PurePosixPath]]:
    for service in compose["services"].values():
        for volume in service["volumes"]:
            # A default value has colons of its own.
            found = re.fullmatch(r"(\$\{.*?\}|[^:]+):([^:]+)(?::ro)?", volume)
            assert found, volume
            yield found[1], PurePosixPath(found[2])


@pytest.fixture(scope="module")
def compose() -> Yaml:
    return _loaded(GENERATED / "compose.yaml")


@pytest.mark.parametrize(
    "path",
    sorted(path for path in GENERATED.rglob("*.yaml")),
    ids=lambda path: path.relative_to(GENERATED).as_posix(),
)
def test_every_file_is_yaml(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text()))
    assert documents
    assert all(isinstance(document, dict) for document in documents)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.warehouse.yaml"])
def test_every_mount_exists(name: str) -> None:
    mounts = list(_mounts(_loaded(GENERATED / name)))
    assert mounts
    for source, target in mounts:
        assert source in _BY_HAND or (GENERATED / source).exists(), source
        assert target.is_absolute()
        # A file onto a file, a folder onto a folder.
        if source not in _BY_HAND:
            assert (GENERATED / source).is_dir() == (target.suffix == "")


def test_ports_are_those_of_the_image_and_on_loopback(compose: Yaml) -> None:
    (service,) = compose["services"].values()
    for port in service["ports"]:
        address, outside, inside = port.split(":")
        assert address == "127.0.0.1"
        assert outside == inside
        assert int(inside) in _PORTS


def test_provisioning_stands_where_grafana_looks_and_names_what_is_mounted(compose: Yaml) -> None:
    mounts = {target: source for source, target in _mounts(compose)}
    provider = mounts[_PROVISIONED / "dashboards/retrospan.yaml"]
    for found in _loaded(GENERATED / provider)["providers"]:
        folder = GENERATED / mounts[PurePosixPath(found["options"]["path"])]
        assert len(list(folder.glob("*.json"))) >= 5
    prometheus = _loaded(GENERATED / mounts[_HOME / "prometheus.yaml"])
    for pattern in map(PurePosixPath, prometheus["rule_files"]):
        assert list((GENERATED / mounts[pattern.parent]).glob(pattern.name))
    (service,) = compose["services"].values()
    home = PurePosixPath(service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (GENERATED / mounts[home.parent] / home.name).is_file()


def test_the_warehouses_data_source_reads_the_snapshot() -> None:
    mounts = {t: s for s, t in _mounts(_loaded(GENERATED / "compose.warehouse.yaml"))}
    source = mounts[_PROVISIONED / "datasources/warehouse.yaml"]
    (found,) = _loaded(GENERATED / source)["datasources"]
    path = PurePosixPath(found["jsonData"]["path"])
    assert path.parent in mounts
    assert path.name == "warehouse.snapshot.duckdb"


def test_everything_that_the_collector_uses_is_configured_and_the_reverse() -> None:
    config = _loaded(COLLECTOR)
    used: dict[str, set[str]] = {"extensions": set(config["service"]["extensions"])}
    for pipeline in config["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            used.setdefault(kind, set()).update(names)
    assert used == {kind: set(config[kind]) for kind in used}
    for pipeline in config["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"
        assert pipeline["processors"][-1] == "batch"


def test_sampling_looks_at_attributes_and_kinds_that_spans_have() -> None:
    known = {str(key) for key in (*Attribute, *GenAI)}
    policies = list(_policies(_loaded(COLLECTOR)["processors"]["tail_sampling"]["policies"]))
    asked = {
        rule["key"]: rule.get("values", [])
        for policy in policies
        if "key" in (rule := policy[policy["type"]])
    }
    conditions = [c for p in policies for c in p.get("ottl_condition", {}).get("span", ())]
    assert asked.keys() <= known
    for condition in conditions:
        found = re.findall(r'attributes\["([^"]+)"\]', condition)
        assert found
        assert set(found) <= known
    kinds = {
        value
        for policy in policies
        for value in policy.get("string_attribute", {}).get("values", ())
    }
    assert kinds <= {kind.value for kind in SpanKind}


def test_the_runs_to_keep_have_a_policy_each() -> None:
    policies = _loaded(COLLECTOR)["processors"]["tail_sampling"]["policies"]
    names = [policy["name"] for policy in policies]
    assert {"failed", "slow", "costly", "human-waited", "has-not-ended"} <= set(names)
    assert len(set(names)) == len(names)
    for policy in policies:
        assert policy["type"] in policy


def test_redaction_masks_secrets_and_nothing_that_the_tracer_says() -> None:
    redaction = _loaded(COLLECTOR)["processors"]["redaction"]
    keys = [re.compile(pattern) for pattern in redaction["blocked_key_patterns"]]
    values = [re.compile(pattern) for pattern in redaction["blocked_values"]]
    for key in (*Attribute, *GenAI):
        assert not any(pattern.search(key) for pattern in keys), key
    for key in ("db.password", "http.request.header.authorization", "openai_api_key"):
        assert any(pattern.search(key) for pattern in keys), key
    for secret in (
        "AK" + "IAABCDEFGHIJ234567",
        "Authorization: Bearer " + "0123456789abcdef01234567",
        "s" + "k-proj-0123456789abcdefghijklmn",
        "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE",
    ):
        assert any(pattern.search(secret) for pattern in values), secret
    assert not any(pattern.search("call customs about SHP-402") for pattern in values)


def test_kubernetes_runs_the_collector_as_it_is_configured() -> None:
    folder = GENERATED / "collector"
    documents = list(yaml.safe_load_all((folder / "kubernetes.yaml").read_text()))
    kinds = {document["kind"]: document for document in documents}
    kustomization = _loaded(folder / "kustomization.yaml")
    for name in kustomization["resources"]:
        assert (folder / name).is_file()
    (config,) = kustomization["configMapGenerator"]
    for name in config["files"]:
        assert (folder / name).is_file()
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    (volume,) = pod["volumes"]
    assert volume["configMap"]["name"] == config["name"]
    (container,) = pod["containers"]
    (mount,) = container["volumeMounts"]
    assert container["args"] == [f"--config={mount['mountPath']}/{config['files'][0]}"]
    variables = {variable["name"] for variable in container["env"]}
    assert set(re.findall(r"\$\{env:(\w+)\}", COLLECTOR.read_text())) == variables
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listened = set(map(int, re.findall(r"0\.0\.0\.0:(\d+)", COLLECTOR.read_text())))
    assert set(ports.values()) == listened
    for port in kinds["Service"]["spec"]["ports"]:
        assert port["port"] == ports[port["targetPort"]]
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert kinds["Service"]["spec"]["selector"] == labels


def _policies(found: list[Yaml]) -> Iterator[Yaml]:
    for policy in found:
        yield policy
        yield from _policies(policy.get("and", {}).get("and_sub_policy", []))

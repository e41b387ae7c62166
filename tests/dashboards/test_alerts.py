"""The alert rules: when they fire, what they ask for, where they lead."""

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml

from dashboards import GENERATED
from dashboards.alerts import ALERTS, RUNBOOKS, Alert
from tests.dashboards import fleet_of_one as synthetic
from tests.dashboards.queries import known_metrics, labels_of, selectors, series_of
from tests.dashboards.stores import free_port, instant, program, serving

ROOT = Path(__file__).parents[2]
RULES = GENERATED / "alerts" / "retrospan.yaml"
TESTS = Path(__file__).parent / "alerts_test.yaml"


def test_promtool_accepts_the_rules_and_their_tests_pass() -> None:
    promtool = program("promtool")
    for arguments in (["check", "rules", str(RULES)], ["test", "rules", str(TESTS)]):
        done = subprocess.run([promtool, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_to_fire_and_to_stay_silent() -> None:
    fires: dict[str, set[bool]] = {}
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            expected = case.get("exp_alerts", [])
            fires.setdefault(case["alertname"], set()).add(bool(expected))
            # Series of the same test for which the alert is silent count as silence too.
            if len(expected) < len(test["input_series"]):
                fires[case["alertname"]].add(False)
    assert fires == {alert.name: {True, False} for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_asks_for_series_that_workers_write(alert: Alert) -> None:
    promql_parser.parse(alert.promql)
    known = {series: metric for metric in known_metrics() for series in series_of(metric)}
    for selector in selectors(alert.promql):
        assert selector.name in known
        matched = {matcher.name for matcher in selector.matchers.matchers}
        assert matched <= labels_of(known[selector.name])


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_leads_to_a_section_that_says_what_to_do(alert: Alert) -> None:
    page = (ROOT / RUNBOOKS).read_text()
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))
    assert len(sections[alert.name].split()) > 30


@pytest.mark.slow
def test_prometheus_evaluates_every_rule_over_what_workers_write(tmp_path: Path) -> None:
    """Debian's Prometheus takes no OTLP: vmagent writes into it."""
    config = {
        "global": {"evaluation_interval": "1s"},
        "rule_files": [str(_every_second(tmp_path))],
    }
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    address, agent = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    arguments = [
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-remote-write-receiver",
    ]
    forwarding = [
        f"-remoteWrite.url=http://{address}/api/v1/write",
        f"-remoteWrite.tmpDataPath={tmp_path / 'agent'}",
        "-remoteWrite.flushInterval=200ms",
        f"-httpListenAddr={agent}",
        "-opentelemetry.usePrometheusNaming",
    ]
    with (
        serving("prometheus", arguments, tmp_path, f"http://{address}", "/-/ready") as client,
        serving("vmagent", forwarding, tmp_path, f"http://{agent}", "/health"),
    ):
        synthetic.emit(f"http://{agent}/opentelemetry/v1/metrics")
        firing = _await_firing(client, "RetrospanNondeterminism")
        assert firing == {"temporal_namespace": "synthetic", "temporal_workflow_type": "Cargo"}
        rules = _rules(client)
        assert {rule["name"]: rule["health"] for rule in rules} == {a.name: "ok" for a in ALERTS}
        # These two wait for their time: the run waits for over a day, spans were lost.
        states = {rule["name"]: rule["state"] for rule in rules}
        assert {name for name, state in states.items() if state == "pending"} == {
            "RetrospanApprovalOverdue",
            "RetrospanRunsStuck",
            "RetrospanTelemetryLoss",
        }
        [(_, losses)] = instant(client, _promql("RetrospanTelemetryLoss"))
        assert losses == synthetic.LOST + synthetic.DROPPED + 1


def _promql(name: str) -> str:
    (found,) = (alert.promql for alert in ALERTS if alert.name == name)
    return found


def _every_second(folder: Path) -> Path:
    """The rules as they are, but evaluated at once."""
    loaded = yaml.safe_load(RULES.read_text())
    for group in loaded["groups"]:
        group["interval"] = "1s"
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(loaded))
    return path


def _rules(client: httpx.Client) -> list[dict[str, Any]]:
    (group,) = client.get("/api/v1/rules").json()["data"]["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def _await_firing(client: httpx.Client, name: str) -> dict[str, str]:
    """The labels of the alert, once it fires; Prometheus has no other way to say when."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for rule in _rules(client):
            if rule["name"] == name and rule["state"] == "firing":
                (alert,) = rule["alerts"]
                return {k: v for k, v in alert["labels"].items() if k.startswith("temporal_")}
        time.sleep(0.2)
    pytest.fail(f"{name} did not fire")

"""Workflows and profiles by name: what is found, and what is said when it is not."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.common import HeaderCodecBehavior
from temporalio.worker import UnsandboxedWorkflowRunner

from replayer.replaying import (
    PLAIN,
    LoadError,
    ReplayProfile,
    load_profile,
    load_workflow,
    load_workflows,
    profile_names,
)

WORKFLOW = """
from temporalio import workflow

@workflow.defn
class {name}:
    @workflow.run
    async def run(self) -> None: ...

class Plain: ...

def profile():
    return {{"interceptors": []}}

def wrong():
    return {{"interceptor": [], "task_queue": "q"}}

def broken():
    raise KeyError("AES_KEY")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orders_a1.py").write_text(WORKFLOW.format(name="Order"))
    (tmp_path / "shop_a1" / "flows").mkdir(parents=True)
    (tmp_path / "shop_a1" / "__init__.py").touch()
    (tmp_path / "shop_a1" / "flows" / "__init__.py").touch()
    (tmp_path / "shop_a1" / "flows" / "refund.py").write_text(WORKFLOW.format(name="Refund"))
    before = set(sys.modules)
    yield tmp_path
    # What lies in this folder only: extension modules crash when they are imported twice.
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


def test_by_module(folder: Path) -> None:
    assert load_workflow("orders_a1:Order").__name__ == "Order"
    assert load_workflow("shop_a1.flows.refund:Refund").__module__ == "shop_a1.flows.refund"


def test_by_file(folder: Path) -> None:
    assert load_workflow("orders_a1.py:Order").__module__ == "orders_a1"
    found = load_workflow(f"{folder}/shop_a1/flows/refund.py:Refund")
    assert found.__module__ == "shop_a1.flows.refund"
    assert found is load_workflow("shop_a1.flows.refund:Refund")


def test_all_of_a_module_and_each_once(folder: Path) -> None:
    found = load_workflows(["orders_a1", "orders_a1:Order", "shop_a1/flows/refund.py"])
    assert [workflow.__name__ for workflow in found] == ["Order", "Refund"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("orders_a1:Oder", "orders_a1 has no 'Oder'; its workflows are Order"),
        ("orders_a1:Plain", "orders_a1:Plain is no workflow; expected a class with @workflow.defn"),
        ("orders_a1", "'orders_a1' names no object; expected module:Class"),
        ("odrers:Order", "cannot import odrers: No module named 'odrers'; modules are looked for"),
        ("nowhere.py:Order", "there is no file nowhere.py"),
        ("broken_a1:Order", "cannot import broken_a1: ZeroDivisionError: division by zero"),
        ("syntax_a1:Order", "cannot import syntax_a1: SyntaxError: "),
        ("exits_a1:Order", "cannot import exits_a1: it exits on import"),
        ("json.py:Order", "json.py would be imported as 'json', a name that "),
    ],
)
def test_what_is_said_when_there_is_none(folder: Path, spec: str, said: str) -> None:
    (folder / "broken_a1.py").write_text("1 / 0\n")
    (folder / "syntax_a1.py").write_text("def (:\n")
    (folder / "exits_a1.py").write_text("raise SystemExit\n")
    (folder / "json.py").write_text(WORKFLOW.format(name="Order"))
    with pytest.raises(LoadError) as caught:
        load_workflow(spec)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_module_without_workflows(folder: Path) -> None:
    with pytest.raises(LoadError, match="json defines no workflow"):
        load_workflows(["json"])


def test_profiles(folder: Path) -> None:
    assert load_profile(None) is PLAIN
    assert load_profile("plain") is PLAIN
    assert {"plain", "openai-agents"} <= set(profile_names())
    assert load_profile("orders_a1:profile").interceptors == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plane", "there is no replay profile 'plane'; choose from mistral, openai-agents, plain"),
        ("orders_a1:wrong", "profile orders_a1:wrong sets interceptor, task_queue; expected some"),
        ("orders_a1:broken", "profile orders_a1:broken fails: KeyError: 'AES_KEY'"),
        ("sys:path", "profile sys:path is list; expected a ReplayProfile"),
    ],
)
def test_what_is_said_of_a_wrong_profile(folder: Path, name: str, said: str) -> None:
    with pytest.raises(LoadError) as caught:
        load_profile(name)
    assert str(caught.value).startswith(said)


def test_the_profile_of_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "temporalio.openai_agents", None)
    monkeypatch.setitem(sys.modules, "temporalio.contrib.openai_agents", None)
    with pytest.raises(LoadError, match="openai-agents needs the package temporalio-openai-agents"):
        load_profile("openai-agents")


def test_a_profile_without_a_sandbox_keeps_the_rest() -> None:
    profile = ReplayProfile(header_codec_behavior=HeaderCodecBehavior.CODEC).unsandboxed()
    assert isinstance(profile.workflow_runner, UnsandboxedWorkflowRunner)
    assert profile.header_codec_behavior is HeaderCodecBehavior.CODEC

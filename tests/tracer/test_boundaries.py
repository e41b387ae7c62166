"""Where the tracer meets the SDK, and what importing it costs."""

import inspect
import subprocess
import sys

import pytest
from temporalio.worker import WorkflowInstance, WorkflowRunner

from tracer._runner import TracingInstance, TracingRunner

_WATCHED = {"activate"}
"""Methods of an instance that the tracer looks at; all others must reach the wrapped one."""


def public_methods(cls: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(cls, callable) if not name.startswith("_")}


def test_every_method_of_an_instance_reaches_the_wrapped_one() -> None:
    methods = public_methods(WorkflowInstance)
    assert methods >= _WATCHED
    own = {name for name in vars(TracingInstance) if not name.startswith("_")}
    assert own == _WATCHED, "a method of our own would hide the SDK's"


def test_a_runner_has_every_method_of_the_sdk() -> None:
    # TracingRunner must be a WorkflowRunner, so an inherited default would hide the wrapped method.
    inherited = public_methods(WorkflowRunner) - set(vars(TracingRunner))
    assert inherited == set(), "pass these on to the wrapped runner too"


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    return {name.partition(".")[0] for name in output.split()}


@pytest.mark.parametrize("module", ["tracer.model", "tracer.names", "tracer.spans"])
def test_the_model_is_light(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert module.partition(".")[0] in loaded
    assert loaded.isdisjoint({"temporalio", "opentelemetry", "google", "duckdb", "textual"})


def test_the_plugin_brings_nothing_of_the_upper_floors() -> None:
    loaded = loaded_by("from tracer import TracerPlugin")
    assert "temporalio" in loaded
    assert loaded.isdisjoint({"replayer", "analytics", "tui", "duckdb", "textual", "click"})


def test_an_unknown_name_is_an_ordinary_error() -> None:
    import tracer

    with pytest.raises(AttributeError, match="no attribute 'Tracer'"):
        tracer.Tracer  # noqa: B018

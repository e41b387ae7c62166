"""A place to run pieces of code as if they were activations of a workflow."""

import asyncio
import importlib
import importlib.util
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tracer.branches import (
    ActivationBranches,
    BranchSettings,
    BranchWatch,
    RunBranches,
)


class Lab:
    """Loads modules from texts and runs their functions as activations."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.watch = BranchWatch()
        self.errors: list[tuple[str, Exception]] = []
        self._folder = folder
        self._monkeypatch = monkeypatch

    def load(self, text: str, name: str = "flow") -> Any:
        path = self._folder / f"{name}.py"
        path.write_text("class Workflow: ...\n" + textwrap.dedent(text))
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        if name not in sys.modules:
            self._monkeypatch.setitem(sys.modules, name, module)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        self.watch.include(vars(module)["Workflow"])
        return module

    def new_run(self, **settings: Any) -> RunBranches:
        return RunBranches(BranchSettings(**settings), lambda *what: self.errors.append(what))

    def activate(
        self, run: RunBranches, function: Callable[..., Any], *arguments: Any, **options: Any
    ) -> ActivationBranches:
        async def activation() -> ActivationBranches:
            with self.watch.watching(run, **options) as found:
                result = function(*arguments)
                if asyncio.iscoroutine(result):
                    await result
            return found

        return asyncio.run(activation())


def outcomes(found: ActivationBranches) -> list[tuple[str, object, int]]:
    return [(b.point.condition, b.outcome, b.occurrence) for b in found.branches]

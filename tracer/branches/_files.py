"""Which code is workflow code.

A workflow's own package is, and nothing else: not the SDK, not libraries, not this tracer. A
workflow in a module without a package stands for the modules beside it, which is how small
projects and samples are laid out.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Final

_LIBRARIES: Final = frozenset(
    Path(path) for name, path in sysconfig.get_paths().items() if name.endswith("lib")
)
"""Folders where modules that lie side by side are not of one project."""


class WorkflowFiles:
    """The files of the packages that define workflows."""

    def __init__(self) -> None:
        self._packages: dict[Path, Path] = {}
        """The folder of a package, to the folder that holds it."""
        self._neighbourhoods: set[Path] = set()
        """Folders whose own modules are workflow code."""
        self._modules: set[Path] = set()
        self._shown: dict[str, str] = {}

    def add(self, workflow: type) -> bool:
        """Count a workflow's package in; whether that made any difference."""
        before = self._size()
        self._add_package(sys.modules.get(workflow.__module__.partition(".")[0]))
        if before == self._size():
            return False
        self._shown.clear()
        return True

    def shown(self, path: str) -> str:
        """The name to show for a file of workflow code; empty if it is none."""
        known = self._shown.get(path)
        if known is None:
            known = self._shown[path] = self._name_of(Path(path))
        return known

    def _size(self) -> int:
        return len(self._packages) + len(self._neighbourhoods) + len(self._modules)

    def _add_package(self, top: object) -> None:
        folders = [Path(folder) for folder in getattr(top, "__path__", ())]
        self._packages.update((folder, folder.parent) for folder in folders)
        file = getattr(top, "__file__", None)
        if folders or not file:
            return
        module = Path(file)
        self._modules.add(module)
        if module.parent not in _LIBRARIES:
            self._neighbourhoods.add(module.parent)

    def _name_of(self, path: Path) -> str:
        for folder, holder in self._packages.items():
            if path.is_relative_to(folder):
                return path.relative_to(holder).as_posix()
        if path in self._modules or path.parent in self._neighbourhoods:
            return path.name
        return ""

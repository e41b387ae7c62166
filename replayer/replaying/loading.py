"""Workflow code by name: `module:Class`, `path/to/file.py:Class`, or a module with all it defines.

Modules are found as Python finds them when it starts in the current folder. A file is imported
under the name that Temporal's sandbox will import it by, too: the sandbox knows no other way, so a
file whose name is taken by another module cannot be replayed and is refused here, where the reason
can still be said.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from replayer.replaying.errors import LoadError

__all__ = ["load_object", "load_workflow", "load_workflows"]

_DEFINITION = "__temporal_workflow_definition"


def load_workflow(spec: str) -> type:
    """The workflow class that `module:Class` or `path/to/file.py:Class` names.

    Raises:
        LoadError: There is no such module or class, importing it fails, or it is no workflow.
    """
    found = load_object(spec)
    if not _is_workflow(found):
        raise LoadError(f"{spec} is no workflow; expected a class with @workflow.defn")
    assert isinstance(found, type)
    return found


def load_workflows(specs: Iterable[str]) -> list[type]:
    """The workflow classes that were named, each once; a module alone stands for all it defines.

    Raises:
        LoadError: As `load_workflow`, and when a module defines no workflow.
    """
    found: dict[type, None] = {}
    for spec in specs:
        for workflow in [load_workflow(spec)] if _attribute_of(spec) else _all_of(spec):
            found[workflow] = None
    return list(found)


def load_object(spec: str) -> Any:
    """What `module:name` names; a name may have dots.

    Raises:
        LoadError: It is not there, or importing its module fails.
    """
    name = _attribute_of(spec)
    if not name:
        raise LoadError(f"{spec!r} names no object; expected module:Class or path/to/file.py:Class")
    module = _module_of(spec)
    value: Any = module
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            known = ", ".join(sorted(cls.__name__ for cls in _workflows_in(module)))
            hint = f"; its workflows are {known}" if known else ""
            raise LoadError(f"{module.__name__} has no {name!r}{hint}") from None
    return value


def _attribute_of(spec: str) -> str:
    return spec.rpartition(":")[2] if ":" in spec else ""


def _module_of(spec: str) -> ModuleType:
    place = spec.rpartition(":")[0] if ":" in spec else spec
    _make_importable(Path.cwd())
    try:
        if place.endswith(".py"):
            return _import_file(Path(place))
        return importlib.import_module(place)
    except LoadError:
        raise
    except ModuleNotFoundError as error:
        raise LoadError(f"cannot import {place}: {error.msg}; {_where()}") from error
    except SystemExit as error:
        raise LoadError(f"cannot import {place}: it exits on import") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise LoadError(f"cannot import {place}: {reason}") from error


def _where() -> str:
    return "modules are looked for in the current folder and on PYTHONPATH"


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise LoadError(f"there is no file {path}")
    file = path.resolve()
    root, name = _root_and_name(file)
    _make_importable(root)
    module = importlib.import_module(name)
    if module.__file__ is None or Path(module.__file__).resolve() != file:
        raise LoadError(
            f"{path} would be imported as {name!r}, a name that {module.__file__ or 'Python'} has; "
            "rename it, or name it as module:Class"
        )
    return module


def _root_and_name(file: Path) -> tuple[Path, str]:
    """The folder to import from, and the dotted name of the file in there."""
    parts = [file.stem]
    folder = file.parent
    while (folder / "__init__.py").exists() and folder != folder.parent:
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def _make_importable(folder: Path) -> None:
    # An empty entry is the current folder already, but the sandbox's imports need not see it so.
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _all_of(spec: str) -> list[type]:
    found = list(_workflows_in(_module_of(spec)))
    if not found:
        raise LoadError(f"{spec} defines no workflow; expected module:Class or a workflow module")
    return found


def _workflows_in(module: ModuleType) -> Iterator[type]:
    for value in vars(module).values():
        if _is_workflow(value) and value.__module__ == module.__name__:
            yield value


def _is_workflow(value: object) -> bool:
    # Inherited from a base class the definition would not be the class's own: the SDK refuses it.
    return isinstance(value, type) and _DEFINITION in vars(value)

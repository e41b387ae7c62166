"""Public names of a package that are imported when they are first used.

For packages that are imported where most of them is not needed: a child process that runs any job,
a pytest session that checks nothing. Type checkers read the package's `TYPE_CHECKING` block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """A `__getattr__` for a package.

    Args:
        package: Its name.
        homes: The public names of each of its modules.
    """
    home_of = {name: module for module, names in homes.items() for name in names}

    def __getattr__(name: str) -> Any:
        module = home_of.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{module}"), name)

    return __getattr__

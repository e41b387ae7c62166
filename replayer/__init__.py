"""After the fact: reads histories, and replays, records, compares and forks what they tell.

Works on exported files as well as on a live server, and never changes a run on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replayer.alignment import align

__all__ = ["align"]


def __getattr__(name: str) -> Any:
    # Comparing loads temporalio, for which those who only start a server should not wait.
    if name != "align":
        raise AttributeError(f"module 'replayer' has no attribute {name!r}")
    from replayer.alignment import align

    return align

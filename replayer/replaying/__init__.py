"""Replaying recorded runs: finding the code, setting the SDK's Replayer up, and watching it.

Everything that replays starts here: tapes, checks and forks. `replay` is one replay in this
process; `run_in_child` and `ChildPool` keep other people's code in processes of their own, with a
time and a memory limit, as some histories hang the SDK and some workflows do, too. Names are
imported when they are used, so that a child starts in no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replayer._lazy import lazy_names

if TYPE_CHECKING:
    from replayer.replaying.child import DEFAULT_LIMITS, Child, Limits, run_in_child
    from replayer.replaying.errors import (
        ChildCrashed,
        ChildError,
        ChildOutOfMemory,
        ChildTimedOut,
        LoadError,
        ReplayingError,
    )
    from replayer.replaying.loading import load_object, load_workflow, load_workflows
    from replayer.replaying.packed import PackedHistory
    from replayer.replaying.pool import ChildPool, Outcome
    from replayer.replaying.profile import PLAIN, ReplayProfile, load_profile, profile_names
    from replayer.replaying.running import (
        QUIET_SECONDS,
        ReplayOutcome,
        ReplayStatus,
        has_abandoned_replays,
        replay,
    )
    from replayer.replaying.watching import ReplayHook, WatchingInstance, WatchingRunner

__all__ = [
    "DEFAULT_LIMITS",
    "PLAIN",
    "QUIET_SECONDS",
    "Child",
    "ChildCrashed",
    "ChildError",
    "ChildOutOfMemory",
    "ChildPool",
    "ChildTimedOut",
    "Limits",
    "LoadError",
    "Outcome",
    "PackedHistory",
    "ReplayHook",
    "ReplayOutcome",
    "ReplayProfile",
    "ReplayStatus",
    "ReplayingError",
    "WatchingInstance",
    "WatchingRunner",
    "has_abandoned_replays",
    "load_object",
    "load_profile",
    "load_workflow",
    "load_workflows",
    "profile_names",
    "replay",
    "run_in_child",
]

__getattr__ = lazy_names(
    __name__,
    {
        "child": ("DEFAULT_LIMITS", "Child", "Limits", "run_in_child"),
        "errors": (
            "ChildCrashed",
            "ChildError",
            "ChildOutOfMemory",
            "ChildTimedOut",
            "LoadError",
            "ReplayingError",
        ),
        "loading": ("load_object", "load_workflow", "load_workflows"),
        "packed": ("PackedHistory",),
        "pool": ("ChildPool", "Outcome"),
        "profile": ("PLAIN", "ReplayProfile", "load_profile", "profile_names"),
        "running": (
            "QUIET_SECONDS",
            "ReplayOutcome",
            "ReplayStatus",
            "has_abandoned_replays",
            "replay",
        ),
        "watching": ("ReplayHook", "WatchingInstance", "WatchingRunner"),
    },
)

"""A replay profile: what a worker was made with, so that a replay can be made with the same.

A replay with another converter, codec, interceptor or plugin than the run had goes wrong in ways
that look like changed code. A profile is a function that the user names, `module:function`, or one
that ships: `plain`, `openai-agents` and `mistral`; packages offer more through the entry-point
group `retrospan.replay_profiles`. The function takes nothing, and returns a `ReplayProfile` or a
mapping of the arguments of `temporalio.worker.Replayer`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from temporalio.common import HeaderCodecBehavior
from temporalio.converter import DataConverter
from temporalio.worker import Interceptor, Plugin, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from replayer.replaying.errors import LoadError
from replayer.replaying.loading import load_object

__all__ = ["PLAIN", "ReplayProfile", "load_profile", "profile_names"]

GROUP = "retrospan.replay_profiles"


@dataclass(frozen=True, slots=True)
class ReplayProfile:
    """The arguments of `temporalio.worker.Replayer` that come from how a worker is set up."""

    data_converter: DataConverter = DataConverter.default
    """Converter, codec and failure converter of the client."""
    interceptors: Sequence[Interceptor] = ()
    """The worker's, in its order."""
    plugins: Sequence[Plugin] = ()
    """The worker's and its client's; they may change everything else here."""
    workflow_runner: WorkflowRunner = field(default_factory=SandboxedWorkflowRunner)
    """For workflows that are sandboxed, which they are unless they say otherwise."""
    unsandboxed_workflow_runner: WorkflowRunner = field(default_factory=UnsandboxedWorkflowRunner)
    """For workflows with `sandboxed=False`."""
    workflow_failure_exception_types: Sequence[type[BaseException]] = ()
    """Exceptions that fail a run, where others fail the workflow task."""
    header_codec_behavior: HeaderCodecBehavior = HeaderCodecBehavior.NO_CODEC
    """Whether headers pass the codec."""
    workflows: Sequence[type] = ()
    """Those that such a worker has besides the user's own."""
    local_results: Mapping[str, Any] = field(default_factory=dict)
    """What local activities give, by activity type, where a history ends before it has their
    markers: in a workflow task that failed."""

    def unsandboxed(self) -> ReplayProfile:
        """The same without a sandbox for any workflow."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return ReplayProfile(**{**values, "workflow_runner": self.unsandboxed_workflow_runner})

    def with_own(self, workflows: Sequence[type]) -> list[type]:
        """Workflows of the user, and after them those that such a worker has anyway."""
        return list(dict.fromkeys((*workflows, *self.workflows)))

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for `Replayer`, all but its workflows."""
        names = {item.name for item in fields(self)} - {"workflows", "local_results"}
        return {name: getattr(self, name) for name in names}


PLAIN = ReplayProfile()
"""What a worker has that was given nothing."""


def load_profile(name: str | None) -> ReplayProfile:
    """The profile that `module:function` or a known name stands for; `None` is `plain`.

    Raises:
        LoadError: There is none, it cannot be made here, or it is no profile.
    """
    if name is None:
        return PLAIN
    make = load_object(name) if ":" in name else _known(name)
    try:
        made = make() if callable(make) else make
    except LoadError:
        raise
    except Exception as error:
        raise LoadError(f"profile {name} fails: {type(error).__name__}: {error}") from error
    return _as_profile(name, made)


def profile_names() -> list[str]:
    """The profiles that can be named without a module."""
    return sorted({*_SHIPPED, *(point.name for point in entry_points(group=GROUP))})


def _known(name: str) -> Callable[[], object]:
    if name in _SHIPPED:
        return _SHIPPED[name]
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _loaded(point)
    raise LoadError(
        f"there is no replay profile {name!r}; choose from {', '.join(profile_names())}, "
        "or name your own as module:function"
    )


def _loaded(point: EntryPoint) -> Callable[[], object]:
    try:
        made: Callable[[], object] = point.load()
    except Exception as error:
        raise LoadError(
            f"profile {point.name} ({point.value}) cannot be loaded: {error}"
        ) from error
    return made


def _as_profile(name: str, made: object) -> ReplayProfile:
    if isinstance(made, ReplayProfile):
        return made
    if isinstance(made, Mapping):
        known = {item.name for item in fields(ReplayProfile)}
        if unknown := set(made) - known:
            raise LoadError(
                f"profile {name} sets {', '.join(sorted(map(str, unknown)))}; "
                f"expected some of {', '.join(sorted(known))}"
            )
        return ReplayProfile(**made)
    raise LoadError(
        f"profile {name} is {type(made).__name__}; "
        "expected a ReplayProfile or a mapping of Replayer's arguments"
    )


def _openai_agents() -> ReplayProfile:
    """Runs of Temporal's integration for the OpenAI Agents SDK."""
    for module in ("temporalio.openai_agents", "temporalio.contrib.openai_agents"):
        try:
            plugin: Callable[[], Plugin] = importlib.import_module(module).OpenAIAgentsPlugin
            return ReplayProfile(plugins=(plugin(),))
        except ModuleNotFoundError as error:
            missing = error
    raise LoadError(
        f"profile openai-agents needs the package temporalio-openai-agents ({missing.msg}); "
        "install it where the workflows are installed"
    )


def _mistral() -> ReplayProfile:
    """Runs of Mistral Workflows."""
    from replayer.replaying._mistral import mistral_profile

    return mistral_profile()


_SHIPPED: dict[str, Callable[[], ReplayProfile]] = {
    "plain": lambda: PLAIN,
    "openai-agents": _openai_agents,
    "mistral": _mistral,
}

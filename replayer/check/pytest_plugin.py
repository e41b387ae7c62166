"""A pytest plugin: every recorded run is a test, whose failure report is the explanation.

pytest loads this in every session where Retrospan is installed. It imports nothing of weight, and
does nothing, until histories are named: on the command line, or in pytest's configuration for runs
of the whole suite.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from replayer.check.checking import Checker
    from replayer.check.model import Verdict
    from replayer.replaying import PackedHistory

_CHECKER = pytest.StashKey["Checker"]()
_NAME = "retrospan"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options, on the command line and in the configuration."""
    group = parser.getgroup(_NAME, "recorded Temporal runs as tests")
    for name, word, text in (
        ("histories", "PATH", "a history file, folder or archive; each run in it is a test"),
        ("workflow", "MODULE:CLASS", "the code to replay runs with; repeat for more"),
    ):
        group.addoption(f"--retrospan-{name}", action="append", default=[], metavar=word, help=text)
        parser.addini(f"retrospan_{name}", text, type="linelist", default=[])
    group.addoption("--retrospan-profile", metavar="NAME", help="the replay profile")
    group.addoption(
        "--retrospan-strict", action="store_true", help="compare arguments and results, too"
    )
    group.addoption(
        "--retrospan-timeout",
        type=float,
        metavar="SECONDS",
        help="end a replay that takes longer (default: 60)",
    )
    parser.addini("retrospan_profile", "the replay profile", default="")
    parser.addini("retrospan_strict", "compare arguments and results, too", type="bool")
    parser.addini("retrospan_timeout", "seconds until a replay is ended", default="60")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the runs to what was collected, before `-k` and the like choose."""
    paths = _histories(config)
    if not paths:
        return
    workflows = [*config.getoption("retrospan_workflow"), *config.getini("retrospan_workflow")]
    if not workflows:
        raise pytest.UsageError("--retrospan-histories needs --retrospan-workflow MODULE:CLASS")
    config.stash[_CHECKER] = _checker(config, tuple(workflows))
    items.extend(Histories.from_parent(session, name=_NAME, paths=paths).collect())


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the child process."""
    checker = config.stash.get(_CHECKER, None)
    if checker is not None:
        checker.close()


class Histories(pytest.Collector):
    """All runs that were named."""

    def __init__(self, *, paths: list[str], **arguments: Any) -> None:
        super().__init__(nodeid=_NAME, **arguments)
        self._histories = paths

    def collect(self) -> Iterator[pytest.Item]:
        """An item for each run, and one for each history that cannot be read."""
        from replayer.history import Rejected, read_histories
        from replayer.replaying import PackedHistory

        seen = set()
        for found in read_histories(self._histories):
            if isinstance(found, Rejected):
                if not found.is_notice:
                    yield Unreadable.from_parent(self, name=found.uri, reason=str(found.error))
            elif found.key not in seen:
                seen.add(found.key)
                name = f"{found.key.workflow_id}:{found.key.run_id}"
                yield Run.from_parent(self, name=name, packed=PackedHistory.of(found))


class Run(pytest.Item):
    """One recorded run."""

    def __init__(self, *, packed: PackedHistory, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._packed = packed

    def runtest(self) -> None:
        """Check it.

        Raises:
            RunBreaksError: It does not replay.
        """
        from replayer.check.model import VerdictStatus

        verdict = self.config.stash[_CHECKER].check(self._packed)
        if verdict.is_problem:
            raise RunBreaksError(verdict)
        if verdict.status is VerdictStatus.STUCK and verdict.explanation is not None:
            pytest.skip(verdict.explanation.summary)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The explanation; a traceback of the check would say nothing of the run."""
        if isinstance(excinfo.value, RunBreaksError):
            from replayer.check.report import verdict_text

            return verdict_text(excinfo.value.verdict)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, None, str]:
        """Where the run came from."""
        return self._packed.origin.uri, None, self.name


class Unreadable(pytest.Item):
    """Something that is no history."""

    def __init__(self, *, reason: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._reason = reason

    def runtest(self) -> None:
        """Fail."""
        pytest.fail(self._reason, pytrace=False)

    def reportinfo(self) -> tuple[str, None, str]:
        """Which file it is."""
        return self.name, None, self.name


class RunBreaksError(Exception):
    """A run does not replay with this code."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.explanation.summary if verdict.explanation else "it differs")
        self.verdict = verdict


def _histories(config: pytest.Config) -> list[str]:
    """What was named. The configuration's are for the whole suite, not for a single test of it."""
    named: list[str] = config.getoption("retrospan_histories")
    if named or config.args_source is pytest.Config.ArgsSource.ARGS:
        return named
    configured: list[str] = config.getini("retrospan_histories")
    return [str(config.rootpath / path) for path in configured]


def _checker(config: pytest.Config, workflows: tuple[str, ...]) -> Checker:
    from replayer.check.checking import Checker, CheckOptions
    from replayer.replaying import Limits, ReplayingError

    seconds = config.getoption("retrospan_timeout") or float(config.getini("retrospan_timeout"))
    options = CheckOptions(
        workflows,
        config.getoption("retrospan_profile") or config.getini("retrospan_profile") or None,
        bool(config.getoption("retrospan_strict") or config.getini("retrospan_strict")),
        Limits(seconds=seconds),
    )
    checker = Checker(options)
    try:
        checker.prepare()
    except ReplayingError as error:
        checker.close()
        raise pytest.UsageError(str(error)) from None
    return checker

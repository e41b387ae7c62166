"""The commit after which a run stopped replaying.

git does the search: `git bisect` in a worktree of its own, in a temporary folder, so that the
user's files, index and branch are never touched. Each commit is checked in a child process that
imports from that worktree in place of the user's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from replayer.check.checking import Checker, CheckOptions
from replayer.check.model import Command, Frame, Verdict, VerdictStatus
from replayer.history import RunHistory
from replayer.history.errors import one_line
from replayer.replaying import Child, LoadError, PackedHistory

__all__ = ["BisectError", "Commit", "FirstBad", "bisect"]

_FIELDS = "%H%x00%an%x00%aI%x00%s"


class BisectError(Exception):
    """There is nothing to search, or git cannot; the message is one printable line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message.strip()))


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit."""

    id: str
    author: str
    date: str
    """Of the author, ISO 8601."""
    subject: str


@dataclass(frozen=True, slots=True)
class FirstBad:
    """The end of a search."""

    commits: tuple[Commit, ...]
    """The first bad commit; several where those between could not be tested."""
    verdict: Verdict
    """Of the check with the first bad commit's code."""
    tested: int
    """Commits that were checked, the two ends included."""
    skipped: int
    """Commits whose code could not be loaded."""


type Tell = Callable[[Commit, str], None]
"""Hears of each commit that was tested: which, and `good`, `bad` or `skip`."""


def bisect(
    history: RunHistory,
    options: CheckOptions,
    *,
    good: str,
    bad: str = "HEAD",
    tell: Tell = lambda commit, outcome: None,
) -> FirstBad:
    """Search the history of the current folder's repository.

    Raises:
        BisectError: The ends are not as they should be, or git cannot do it.
        LoadError: The code of an end cannot be loaded.
    """
    packed = PackedHistory.of(history)
    root = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel").rstrip("\n")).resolve()
    # Here and not in the worktree, whose HEAD is another.
    ends = _commit(root, good), _commit(root, bad)
    with _worktree(root, ends[1]) as tree:
        return _Search(tree, packed, options, tell).run(ends, (good, bad))


class _Search:
    def __init__(
        self, tree: _Worktree, packed: PackedHistory, options: CheckOptions, tell: Tell
    ) -> None:
        self._tree = tree
        self._packed = packed
        self._options = options
        self._tell = tell
        self._verdicts: dict[str, Verdict] = {}
        self._skipped = 0

    def run(self, ends: tuple[Commit, Commit], names: tuple[str, str]) -> FirstBad:
        if self._is_bad(ends[0]):
            raise BisectError(
                f"the run does not replay at {names[0]} either; name an older commit with --good"
            )
        if not self._is_bad(ends[1]):
            raise BisectError(f"the run replays at {names[1]}; there is no bad commit to find")
        said = self._tree.git("bisect", "start", ends[1].id, ends[0].id)
        while (found := self._found(said)) is None:
            said = self._tree.git("bisect", self._step(self._tree.commit()))
        return self._first_bad(found)

    def _step(self, commit: Commit) -> str:
        try:
            outcome = "bad" if self._is_bad(commit) else "good"
        except LoadError:
            self._skipped += 1
            outcome = "skip"
        self._tell(commit, outcome)
        return outcome

    def _is_bad(self, commit: Commit) -> bool:
        if commit.id not in self._verdicts:
            self._tree.git("checkout", "--quiet", "--detach", "--force", commit.id)
            with Checker(self._options, self._tree.child(self._options)) as checker:
                self._tree.must_hold(checker.prepare())
                self._verdicts[commit.id] = checker.check(self._packed)
        verdict = self._verdicts[commit.id]
        return verdict.status is VerdictStatus.FAILED or bool(verdict.findings)

    def _found(self, said: str) -> list[str] | None:
        """The commits that git ended its search with, when it did."""
        first, _, rest = said.partition("\n")
        if first.endswith("is the first bad commit"):
            return [first.split()[0]]
        if "could be any of" in said:
            ids = [line for line in said.splitlines() if len(line) >= 40 and line.isalnum()]
            return ids or [rest]
        return None

    def _first_bad(self, ids: list[str]) -> FirstBad:
        commits = tuple(self._tree.commit(id) for id in ids)
        known = [self._verdicts[id] for id in ids if id in self._verdicts]
        verdicts = [verdict for verdict in known if verdict.is_problem]
        verdict = self._tree.at_home(verdicts[0])
        return FirstBad(commits, verdict, len(self._verdicts), self._skipped)


class _Worktree:
    """A worktree that nobody else uses, and what of the user's paths it stands for."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._root = root

    def git(self, *arguments: str) -> str:
        """What git says in the worktree."""
        return _git(self._folder, *arguments)

    def commit(self, name: str = "HEAD") -> Commit:
        """The commit that is checked out, or one that git named."""
        return _commit(self._folder, name)

    def child(self, options: CheckOptions) -> Child:
        """A child that runs here as the user's commands run in their own tree."""
        here = self._moved(Path.cwd())
        paths = [str(self._moved(Path(path).absolute())) for path in sys.path]
        folder = here if here.is_dir() else self._folder
        # Compiled files go by whole seconds: a file of the next commit would pass for its last.
        return Child(options.limits, folder=folder, paths=paths, flags=("-B",))

    def must_hold(self, files: list[str]) -> None:
        """Make sure that the code comes from here.

        Raises:
            BisectError: It comes from elsewhere, which would say nothing of a commit.
        """
        for file in files:
            if not Path(file).resolve().is_relative_to(self._folder):
                raise BisectError(
                    f"{file} is imported from outside of the repository {self._root}; "
                    "name the workflow so that it is found there"
                )

    def at_home(self, verdict: Verdict) -> Verdict:
        """The verdict with places in the user's tree: the worktree is about to go."""
        explanation = verdict.explanation
        if explanation is not None:
            explanation = replace(
                explanation,
                stack=self._home(explanation.stack),
                produced=self._command_at_home(explanation.produced),
            )
        findings = tuple(
            replace(finding, command=self._command_at_home(finding.command) or finding.command)
            for finding in verdict.findings
        )
        return replace(verdict, explanation=explanation, findings=findings)

    def _command_at_home(self, command: Command | None) -> Command | None:
        return None if command is None else replace(command, stack=self._home(command.stack))

    def _home(self, stack: tuple[Frame, ...]) -> tuple[Frame, ...]:
        return tuple(
            replace(frame, file=str(self._root / Path(frame.file).relative_to(self._folder)))
            if Path(frame.file).is_relative_to(self._folder)
            else frame
            for frame in stack
        )

    def _moved(self, path: Path) -> Path:
        resolved = path.resolve()
        if not resolved.is_relative_to(self._root) or "site-packages" in resolved.parts:
            return path
        return self._folder / resolved.relative_to(self._root)


def _commit(folder: Path, name: str) -> Commit:
    """A commit by any name that git knows."""
    try:
        # What a name leads to may not look like an option.
        id = _git(folder, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    except BisectError:
        raise BisectError(f"git knows no commit {name!r}") from None
    line = _git(folder, "log", "-1", f"--format={_FIELDS}", id.strip(), "--")
    return Commit(*line.rstrip("\n").split("\0", 3))


@contextmanager
def _worktree(root: Path, commit: Commit) -> Iterator[_Worktree]:
    with tempfile.TemporaryDirectory(prefix="retrospan-bisect-") as folder:
        tree = Path(folder).resolve() / "tree"
        _git(root, "worktree", "add", "--quiet", "--detach", str(tree), commit.id)
        try:
            yield _Worktree(tree, root)
        finally:
            _git(root, "worktree", "remove", "--force", str(tree))


def _git(folder: Path, *arguments: str) -> str:
    # Hooks of the repository are for the user's own checkouts.
    command = ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(folder), *arguments]
    # Variables of a hook that runs us would lead git to another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["LC_ALL"] = "C"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, errors="replace"
        )
    except FileNotFoundError:
        raise BisectError("git is not installed") from None
    ended_undecided = arguments[:1] == ("bisect",) and "could be any of" in done.stdout
    if done.returncode and not ended_undecided:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise BisectError(reason[-1] if reason else f"git {arguments[0]} failed")
    return done.stdout

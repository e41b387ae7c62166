"""Where the children of a run, and the rest of its chain, are looked for: where the run was."""

from __future__ import annotations

from pathlib import Path

from replayer.alignment import FindHistory
from replayer.history import Rejected, RunHistory, read_histories
from tracer.identity import RunKey
from tui.cli.diagnostics import warn
from tui.resolve import Places, ResolveError, resolve_run
from tui.sources import container_of

__all__ = ["finder_for"]


def finder_for(text: str, history: RunHistory, places: Places) -> FindHistory:
    """A function that finds the runs that belong to `history`, which `text` named.

    Runs of a file are looked for in its folder, or in the archive that the file is; others on the
    server or in the warehouse. A run that is nowhere is told on stderr and left out.
    """
    is_file = bool(text) and (Path(text).exists() or Path(text.partition("!")[0]).exists())
    container = Path(container_of(history.origin.uri))
    if places.address is None and is_file and container.exists():
        return _InFiles(container).find
    return _InPlaces(places).find


class _InPlaces:
    """Finds runs on a server or in a warehouse."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def find(self, key: RunKey) -> RunHistory | None:
        """The history of a run, `None` if there is none."""
        from replayer.history import HistoryError

        text = f"{key.workflow_id}:{key.run_id}"
        try:
            return resolve_run(text, self._places)
        except (ResolveError, HistoryError) as error:
            warn(f"{key} is not followed: {error}")
            return None


class _InFiles:
    """Finds runs in the files beside another."""

    def __init__(self, container: Path) -> None:
        is_single = container.is_file() and container.suffix.lower() not in _ARCHIVES
        self._folder = container.parent if is_single else container
        self._uris: dict[str, str] | None = None

    def find(self, key: RunKey) -> RunHistory | None:
        """The history of a run, `None` if there is none."""
        if self._uris is None:
            # Only where each run is, is kept: a folder may hold more than memory does.
            found = read_histories([str(self._folder)])
            self._uris = {
                each.key.run_id: each.origin.uri for each in found if not isinstance(each, Rejected)
            }
        uri = self._uris.get(key.run_id)
        if uri is not None:
            for each in read_histories([container_of(uri)]):
                if isinstance(each, RunHistory) and each.key.run_id == key.run_id:
                    return each
        warn(f"{key} is not followed: it is not in {self._folder}")
        return None


_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst"})

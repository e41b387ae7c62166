"""Every query answers on a store that speaks PromQL, with what real workers emitted.

VictoriaMetrics takes OTLP and names metrics the way Prometheus does, from version 1.112 on. The
figures are recomputed from the histories of the same runs.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboards.live_store import LiveStore, live_store
from tests.dashboards.sending import metric_queries

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

type Boards = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStore]:
    """The demo's runs, and synthetic ones in another namespace."""
    with live_store(tmp_path_factory.mktemp("live")) as live:
        yield live


def test_every_query_of_every_panel_answers(store: LiveStore, boards: Boards) -> None:
    empty = []
    for name, board in boards.items():
        kinds = {panel["title"]: panel["type"] for panel in board["panels"]}
        for title, queries in metric_queries(board).items():
            over_time = kinds[title] == "timeseries"
            for query in queries:
                found = store.over_time(query) if over_time else len(store.ask(query))
                if not found:
                    empty.append((name, title, query))
    assert not empty

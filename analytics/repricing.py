"""Prices of calls that are stored already: a new list or price file counts for them, too.

Everything that a price depends on is in `core.llm_calls`, so nothing is imported again. All calls
are priced anew in one transaction; running it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from analytics.llm_rows import priced_columns
from analytics.settling import note_runs, settle_pending
from analytics.tables import registered
from tracer.genai.usage import ModelUsage

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.warehouse import Warehouse

__all__ = ["reprice"]

_CALLS: Final = """
SELECT rowid, provider, request_model, response_model, started_at, input_tokens,
       cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens,
       reasoning_tokens, service_tier
FROM core.llm_calls
WHERE coalesce(input_tokens, output_tokens) IS NOT NULL
"""
_PRICED: Final = (
    "input_cost_usd",
    "cache_read_cost_usd",
    "cache_write_cost_usd",
    "output_cost_usd",
    "cost_usd",
    "price_source",
    "price_version",
    "price_model",
)
_CALLS_AT_ONCE: Final = 50_000


def reprice(warehouse: Warehouse) -> int:
    """Price every stored call anew, with the list and the price file of now.

    Returns:
        How many calls have another price, or another source of it, than before.

    Raises:
        WarehouseError: It cannot be written.
    """
    changed: list[tuple[str | None, str | None]] = []
    with warehouse.transaction() as connection:
        calls = connection.execute(_CALLS).fetchall()
        for some in _chunks(calls):
            with registered(connection, "priced", _table(some)):
                changed += connection.execute(_UPDATE).fetchall()
        runs = ((workflow, run) for workflow, run in changed if workflow and run)
        note_runs(connection, runs)
    settle_pending(warehouse.connection)
    return len(changed)


_IS_OTHER: Final = " OR ".join(f"c.{name} IS DISTINCT FROM p.{name}" for name in _PRICED)
_UPDATE: Final = f"""
UPDATE core.llm_calls c SET {", ".join(f"{name} = p.{name}" for name in _PRICED)}
FROM priced p
WHERE c.rowid = p.call AND ({_IS_OTHER})
RETURNING c.workflow_id, c.run_id
"""


def _chunks(calls: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    return (calls[i : i + _CALLS_AT_ONCE] for i in range(0, len(calls), _CALLS_AT_ONCE))


def _table(calls: Sequence[tuple[Any, ...]]) -> pa.Table:
    import pyarrow as pa

    rows = [{"call": call[0], **_priced(*call[1:])} for call in calls]
    money = pa.decimal128(18, 9)
    fields = [(name, money if name.endswith("_usd") else pa.string()) for name in _PRICED]
    return pa.Table.from_pylist(rows, schema=pa.schema([("call", pa.int64()), *fields]))


def _priced(
    provider: str | None,
    request_model: str | None,
    response_model: str | None,
    started_at: Any,
    input_tokens: int | None,
    cache_read: int | None,
    cache_write: int | None,
    cache_write_1h: int | None,
    output_tokens: int | None,
    reasoning: int | None,
    tier: str | None,
) -> dict[str, object]:
    usage = ModelUsage(
        input_tokens=input_tokens,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        cache_write_1h_tokens=cache_write_1h,
        output_tokens=output_tokens,
        reasoning_tokens=reasoning,
        service_tier=tier or "",
    )
    at = started_at.replace(tzinfo=UTC) if started_at else None
    return priced_columns(usage, provider or "", (response_model or "", request_model or ""), at)

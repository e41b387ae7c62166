"""What spans say beyond their shape: tenants, contents, causes, patches; live as from a history."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from tests.tracer.feature_server import prepare
from tests.tracer.feature_workflows import CITY, QUEUE, Features
from tests.tracer.telescope import Telescope, attribute, family, span_id, working
from tracer import ContentPolicy, SpanSettings, TenantOrigin, TenantSource
from tracer.attempts import attempts_of
from tracer.model import Run
from tracer.names import Attribute, SpanKind
from tracer.redaction import content_of
from tracer.spans import SpanRecord, spans_of

TOLD = (
    Attribute.TENANT,
    Attribute.INPUT_CONTENT,
    Attribute.RESULT_CONTENT,
    Attribute.PATCHES,
)
LIVE_ONLY = {SpanKind.START, SpanKind.QUERY, SpanKind.HANDLER, SpanKind.BRANCH}


@asynccontextmanager
async def watching(
    address: str, settings: SpanSettings, **options: Any
) -> AsyncIterator[tuple[Telescope, Client]]:
    telescope = Telescope(settings)
    await prepare(address)
    async with working(address, telescope.plugin, **options) as client:
        yield telescope, client
    telescope.check()


async def played(client: Client, *parts: str, **options: Any) -> list[Run]:
    options.setdefault("id", f"told-{uuid.uuid4()}")
    handle = await client.start_workflow(Features.run, list(parts), task_queue=QUEUE, **options)
    await asyncio.wait_for(handle.result(), 60)
    return await family(client, handle.id, handle.first_execution_run_id or "")


def said(span: ReadableSpan | SpanRecord) -> tuple[Any, ...]:
    values = span.attributes or {}
    if isinstance(span, ReadableSpan):
        links = sorted(link.context.span_id for link in span.links)
    else:
        links = sorted(ref.span_id for ref in span.links)
    return (span.name, *(values.get(key.value) for key in TOLD), *links)


def live(telescope: Telescope) -> dict[str, tuple[Any, ...]]:
    return {
        span_id(span): said(span)
        for span in telescope.spans()
        if attribute(span, Attribute.SPAN_KIND) not in LIVE_ONLY
        and attribute(span, Attribute.OUTCOME) != "rejected"
    }


def told(runs: list[Run], settings: SpanSettings) -> dict[str, tuple[Any, ...]]:
    return {
        f"{span.span_id:016x}": said(span)
        for run in runs
        for span in (*spans_of(run, settings), *attempts_of(run, settings))
    }


TENANTS = {
    "namespace": (TenantSource(), "default"),
    "search attribute": (TenantSource(TenantOrigin.SEARCH_ATTRIBUTE, CITY.name), "Bern"),
    "memo": (TenantSource(TenantOrigin.MEMO, "customer"), "acme"),
    "none": (None, None),
}


@pytest.mark.slow
@pytest.mark.parametrize("source", TENANTS)
async def test_every_span_of_a_run_names_its_tenant(temporal_address: str, source: str) -> None:
    origin, tenant = TENANTS[source]
    settings = SpanSettings(origin)
    async with watching(temporal_address, settings) as (telescope, client):
        runs = await played(
            client,
            "locals",
            "children",
            "continue",
            memo={"customer": "acme"},
            search_attributes=TypedSearchAttributes([SearchAttributePair(CITY, "Bern")]),
        )
    found = live(telescope)
    assert {values[1] for values in found.values()} == {tenant}
    known = told(runs, settings)
    both = found.keys() & known.keys()
    assert len(both) > 20
    assert {key: found[key] for key in both} == {key: known[key] for key in both}


@pytest.mark.slow
async def test_a_tenant_that_the_workflow_sets(temporal_address: str) -> None:
    settings = SpanSettings(TenantSource(TenantOrigin.SEARCH_ATTRIBUTE, CITY.name))
    async with watching(temporal_address, settings) as (telescope, client):
        await played(client, "patches", "activities")
    *_, attempt = telescope.kinds(SpanKind.ATTEMPT)
    [workflow] = telescope.kinds(SpanKind.WORKFLOW)
    assert attribute(attempt, Attribute.TENANT) == "Ulm"
    assert attribute(workflow, Attribute.TENANT) == "Ulm"


@pytest.mark.slow
async def test_a_tenant_as_a_label_of_metrics(temporal_address: str) -> None:
    for is_label in (False, True):
        settings = SpanSettings(TenantSource(TenantOrigin.MEMO, "customer", metric_label=is_label))
        async with watching(temporal_address, settings) as (telescope, client):
            await played(client, "activities", memo={"customer": "acme"})
        points = [point for name, point in telescope.points() if name.startswith("retrospan.")]
        labelled = [p for p in points if p.attributes.get(Attribute.TENANT.value) == "acme"]
        assert bool(labelled) is is_label
        assert len(points) > 5


@pytest.mark.slow
async def test_contents_of_types_that_were_opted_in(temporal_address: str) -> None:
    settings = SpanSettings(content=ContentPolicy(frozenset({"Features"})))
    async with watching(temporal_address, settings) as (telescope, client):
        runs = await played(client, "activities", "locals", "children", "nexus", "external")
    found = live(telescope)
    known = told(runs, settings)
    # A history has neither the input of local activities nor all attempts.
    locals_ = {key for key, values in found.items() if values[0].startswith("local ")}
    attempts = {
        span_id(span)
        for span in telescope.kinds(SpanKind.ATTEMPT)
        if attribute(span, Attribute.IS_LOCAL)
    }
    compared = (found.keys() & known.keys()) - locals_ - attempts
    assert {key: found[key] for key in compared} == {key: known[key] for key in compared}
    shown = {values[0]: values for values in found.values() if values[2]}
    assert json.loads(shown["workflow Features"][2]) == [
        ["activities", "locals", "children", "nexus", "external"]
    ]
    assert shown["workflow Features"][3] == "[[]]"
    assert shown["step ok_in_a_thread"][2:4] == ('["b"]', '["b"]')
    assert shown["attempt ok_in_a_thread"][2:4] == ('["b"]', '["b"]')
    assert shown["nexus Desk/echo"][3] in ('["hello"]', '["one"]', '["two"]')
    assert "workflow Child" not in shown, "it was not opted in"


@pytest.mark.slow
async def test_no_content_unless_asked(temporal_address: str) -> None:
    async with watching(temporal_address, SpanSettings()) as (telescope, client):
        await played(client, "activities", "locals")
    assert {values[2:4] for values in live(telescope).values()} == {(None, None)}


@pytest.mark.skipif(
    "event_group_markers" not in HistoryEvent.DESCRIPTOR.fields_by_name,
    reason="this temporalio does not tell what a command is due to",
)
@pytest.mark.slow
async def test_steps_are_linked_to_the_handler_that_asked(temporal_address: str) -> None:
    settings = SpanSettings()
    async with watching(temporal_address, settings) as (telescope, client):
        handle = await client.start_workflow(
            Features.run, ["handlers"], id=f"causes-{uuid.uuid4()}", task_queue=QUEUE
        )
        await handle.signal(Features.note_slowly, "a")
        assert await handle.execute_update(Features.work, "b") == "b"
        await handle.result()
        runs = await family(client, handle.id, handle.first_execution_run_id or "")
    found = live(telescope)
    assert found == {k: v for k, v in told(runs, settings).items() if k in found}
    ids = {span.name: int(span_id(span), 16) for span in telescope.spans()}
    links = {(values[0], *values[5:]) for values in found.values() if values[5:]}
    assert {
        ("step ok", ids["signal note_slowly"]),
        ("step ok", ids["update work"]),
        ("timer", ids["update work"]),
    } <= links


@pytest.mark.slow
async def test_patches_are_on_the_workflow(temporal_address: str) -> None:
    async with watching(temporal_address, SpanSettings()) as (telescope, client):
        runs = await played(client, "patches")
    [workflow] = telescope.kinds(SpanKind.WORKFLOW)
    assert attribute(workflow, Attribute.PATCHES) == "new-rules,old-rules"
    assert live(telescope) == told(runs, SpanSettings())


@pytest.mark.slow
@pytest.mark.parametrize("cached", [1000, 0])
async def test_queries_are_told_once(temporal_address: str, cached: int) -> None:
    async with watching(temporal_address, SpanSettings(), max_cached_workflows=cached) as (
        telescope,
        client,
    ):
        handle = await client.start_workflow(
            Features.run, ["timers", "approval"], id=f"asked-{uuid.uuid4()}", task_queue=QUEUE
        )
        tracer = telescope.provider.get_tracer("test")
        with tracer.start_as_current_span("asks") as asks:
            assert await handle.query(Features.count) >= 0
        with pytest.raises(WorkflowQueryFailedError):
            await handle.query(Features.broken)
        await handle.query("__temporal_workflow_metadata")
        await handle.execute_update(Features.approve, "ada")
        await handle.result()
        assert await handle.query(Features.count) == 1
    first, broken, after = telescope.kinds(SpanKind.QUERY)
    assert [span.name for span in (first, broken, after)] == [
        "query count",
        "query broken",
        "query count",
    ]
    assert [attribute(s, Attribute.OUTCOME) for s in (first, broken)] == ["completed", "failed"]
    assert attribute(broken, Attribute.ERROR_TYPE) == "ValueError"
    assert [link.context.span_id for link in first.links] == [asks.get_span_context().span_id]
    [run] = telescope.kinds(SpanKind.RUN)
    parents = {span.parent.span_id for span in (first, broken, after) if span.parent}
    assert parents == {int(span_id(run), 16)}


payloads = st.lists(
    st.builds(
        lambda encoding, data: Payload(metadata={"encoding": encoding}, data=data),
        st.sampled_from([b"json/plain", b"json/protobuf", b"binary/null", b"binary/x", b"\xff"]),
        st.binary(max_size=60) | st.text(max_size=30).map(lambda t: t.encode("utf-8", "replace")),
    ),
    max_size=5,
)


@given(payloads, st.integers(1, 80))
def test_an_excerpt_shows_as_the_payloads_do(items: list[Payload], limit: int) -> None:
    policy = ContentPolicy(frozenset({"Shown"}), limit)
    excerpt = policy.excerpt("Shown", items)
    assert content_of(excerpt, limit) == content_of(items, limit)
    assert sum(len(item.data) for item in excerpt) <= (limit + 60) * 8
    assert policy.excerpt("Hidden", items) == ()

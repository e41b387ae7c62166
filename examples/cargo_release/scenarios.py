"""Five ways a cargo release goes, each driven to a known end.

They need a worker of `examples.cargo_release.worker` and a `CustomsServer(RULES)`. The faulty
workflow gives reservations back in the order they were made. Customs does not accept that, so the
scenarios with a compensation are those in which it leaves a clearance open behind it.
"""

from dataclasses import replace

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle

from examples.cargo_release.customs_server import Rules
from examples.cargo_release.models import (
    CARRIER_REFUSED,
    ReleaseOrder,
    ReleaseSummary,
    Shipment,
)
from examples.cargo_release.workflow import CargoRelease
from examples.scenario import Ending, Scenario, ScenarioResult, finish, until_event, until_timer

type Handle = WorkflowHandle[CargoRelease, ReleaseSummary]

RULES = Rules(
    busy={"SHP-202": 2},
    refused={
        "SHP-302": "no lorry for reefers",
        "SHP-401": "strike at the depot",
        "SHP-402": "strike at the depot",
    },
)
"""How the stand-in has to treat the shipments of these scenarios."""

WINDOW_SECONDS = 0.5
LONG_WINDOW_SECONDS = 60.0
"""Longer than anybody waits: the run is cancelled inside it."""
RELEASE_WINDOW = "release window"
"""Summary of the timer that each shipment waits on."""

SUGAR = Shipment("SHP-101", "raw sugar", 18_000)
PAINT = Shipment("SHP-102", "paint", 4_200, "3", ["bill of lading", "invoice", "safety data"])
TEXTILES = Shipment("SHP-103", "textiles", 6_750)
COFFEE = Shipment("SHP-201", "green coffee", 19_200)
SOLVENT = Shipment("SHP-202", "solvent", 2_400, "3", ["bill of lading", "invoice", "safety data"])
CACAO = Shipment("SHP-301", "cacao beans", 12_500)
FISH = Shipment("SHP-302", "frozen fish", 9_800)
TILES = Shipment("SHP-401", "roof tiles", 22_000)
PUMPS = Shipment("SHP-402", "water pumps", 1_150)
TIMBER = Shipment("SHP-501", "timber", 25_000)
PAPER = Shipment("SHP-502", "paper rolls", 15_400)


async def start(client: Client, order: ReleaseOrder, workflow_id: str, task_queue: str) -> Handle:
    """Start a release."""
    return await client.start_workflow(
        CargoRelease.run,
        order,
        id=workflow_id,
        task_queue=task_queue,
        static_summary=f"cargo of the {order.vessel}",
    )


async def all_released(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """Three shipments, nothing in their way."""
    order = ReleaseOrder("Anna Maersk", [SUGAR, PAINT, TEXTILES], WINDOW_SECONDS)
    return await finish(await start(client, order, workflow_id, task_queue))


async def customs_busy(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """Customs answers 429 twice for one of two shipments, then clears it."""
    order = ReleaseOrder("Berge Stahl", [COFFEE, SOLVENT], WINDOW_SECONDS)
    return await finish(await start(client, order, workflow_id, task_queue))


async def carrier_refuses(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """The carrier takes one of two shipments; what the other reserved is given back."""
    order = ReleaseOrder("Cap San Diego", [CACAO, FISH], WINDOW_SECONDS)
    return await finish(await start(client, order, workflow_id, task_queue))


async def all_refused(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """The carrier takes none, so the run fails."""
    order = ReleaseOrder("Donau", [TILES, PUMPS], WINDOW_SECONDS)
    return await finish(await start(client, order, workflow_id, task_queue))


async def cancelled(client: Client, workflow_id: str, task_queue: str) -> ScenarioResult:
    """Cancelled from outside while both shipments wait for their window."""
    shipments = [TIMBER, PAPER]
    order = ReleaseOrder("Ever Given", shipments, LONG_WINDOW_SECONDS)
    handle = await start(client, order, workflow_id, task_queue)
    await _all_children_started(handle, len(shipments))
    for shipment in shipments:
        child = client.get_workflow_handle(f"{workflow_id}-{shipment.shipment_id}")
        await until_timer(child, RELEASE_WINDOW)
    await handle.cancel()
    result = await finish(handle)
    status = (await handle.describe()).status
    return replace(result, status=status.name if status else "UNKNOWN")


async def _all_children_started(handle: Handle, count: int) -> None:
    started = set[int]()

    def is_last(event: HistoryEvent) -> bool:
        if event.HasField("child_workflow_execution_started_event_attributes"):
            started.add(event.event_id)
        return len(started) == count

    await until_event(handle, is_last)


UNDO_REFUSED = {"cancel_customs": 2}
"""Attempts in vain to cancel a clearance while its dock slot is held."""

SCENARIOS = (
    Scenario(
        "all-released",
        "three shipments released",
        all_released,
        Ending("COMPLETED", outcome="released"),
    ),
    Scenario(
        "customs-busy",
        "customs answers 429 twice, then clears",
        customs_busy,
        Ending("COMPLETED", outcome="released", attempts={"clear_customs": 3}),
    ),
    Scenario(
        "carrier-refuses",
        "one shipment refused by the carrier, its reservations given back",
        carrier_refuses,
        Ending("COMPLETED", outcome="partly_released"),
        expected_faulty=Ending("COMPLETED", outcome="partly_released", attempts=UNDO_REFUSED),
    ),
    Scenario(
        "all-refused",
        "every shipment refused, the run fails",
        all_refused,
        Ending("FAILED", failure=CARRIER_REFUSED),
        expected_faulty=Ending("FAILED", failure=CARRIER_REFUSED, attempts=UNDO_REFUSED),
    ),
    Scenario(
        "cancelled",
        "cancelled while waiting for the release window",
        cancelled,
        Ending("CANCELED", failure="CancelledError"),
        expected_faulty=Ending("CANCELED", failure="CancelledError", attempts=UNDO_REFUSED),
    ),
)

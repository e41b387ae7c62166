"""The cargo release as Temporal workflows: an order, and under it one workflow per shipment.

Owns the order of the steps and of their compensation: what is reserved last is given back first.
All input and output happens in activities.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from examples.cargo_release.activities import CargoActivities
    from examples.cargo_release.models import (
        NOT_RELEASED,
        NOTHING_RELEASED,
        Refused,
        Released,
        ReleaseOrder,
        ReleaseSummary,
        Shipment,
        ShipmentOrder,
    )

STEP_TIMEOUT = timedelta(seconds=10)
RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=3)
CUSTOMS_RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=5)
UNDO_RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=2)


@workflow.defn(name="CargoRelease")
class CargoRelease:
    """Releases the shipments of a vessel."""

    @workflow.run
    async def run(self, order: ReleaseOrder) -> ReleaseSummary:
        """Release what can be released; fail when that is nothing."""
        ends = await asyncio.gather(
            *(self._release(shipment, order) for shipment in order.shipments),
            return_exceptions=True,
        )
        released = [end for end in ends if isinstance(end, Released)]
        failures = [end for end in ends if isinstance(end, BaseException)]
        if failures and not released:
            raise ApplicationError(
                f"{order.vessel}: none of {len(ends)} shipments was released", type=NOTHING_RELEASED
            ) from failures[0]
        refused = [
            Refused(shipment.shipment_id, _reason(end))
            for shipment, end in zip(order.shipments, ends, strict=True)
            if isinstance(end, BaseException)
        ]
        return ReleaseSummary("partly_released" if refused else "released", released, refused)

    async def _release(self, shipment: Shipment, order: ReleaseOrder) -> Released:
        return await workflow.execute_child_workflow(
            ShipmentRelease.run,
            ShipmentOrder(shipment, order.window_seconds),
            id=f"{workflow.info().workflow_id}-{shipment.shipment_id}",
            static_summary=f"{shipment.shipment_id}: {shipment.goods}",
        )


@workflow.defn(name="ShipmentRelease")
class ShipmentRelease:
    """Releases one shipment, or gives back what it reserved."""

    @workflow.init
    def __init__(self, order: ShipmentOrder) -> None:
        self._shipment = order.shipment
        self._undo: list[tuple[str, Callable[[], Awaitable[None]]]] = []

    @workflow.run
    async def run(self, order: ShipmentOrder) -> Released:
        """Release the shipment."""
        try:
            return await self._release(timedelta(seconds=order.window_seconds))
        except (FailureError, asyncio.CancelledError) as error:
            stuck = await self._compensate()
            if is_cancelled_exception(error):
                raise
            raise ApplicationError(
                f"{self._shipment.shipment_id} is not released: {_reason(error)}",
                {"not undone": stuck},
                type=NOT_RELEASED,
            ) from error

    async def _release(self, window: timedelta) -> Released:
        gross_kg = await self._check()
        clearance_id = await self._clear_customs()
        slot_id = await self._reserve_slot()
        await workflow.sleep(window, summary="release window")
        booking_id = await self._book_carrier()
        released = Released(self._shipment.shipment_id, clearance_id, slot_id, booking_id, gross_kg)
        if workflow.patched("notify-consignee"):
            await self._notify(released)
        return released

    async def _check(self) -> float:
        documents = workflow.execute_activity_method(
            CargoActivities.check_documents,
            self._shipment,
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=RETRIES,
            summary="papers complete?",
        )
        hazard = workflow.execute_activity_method(
            CargoActivities.check_hazard,
            self._shipment,
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=RETRIES,
            summary=f"hazard class {self._shipment.hazard_class or 'none'}",
        )
        weight = workflow.execute_local_activity_method(
            CargoActivities.weigh,
            self._shipment,
            start_to_close_timeout=STEP_TIMEOUT,
            summary=f"{self._shipment.weight_kg:g} kg net",
        )
        _, _, gross_kg = await asyncio.gather(documents, hazard, weight)
        return gross_kg

    async def _clear_customs(self) -> str:
        clearance_id = await workflow.execute_activity_method(
            CargoActivities.clear_customs,
            self._shipment,
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=CUSTOMS_RETRIES,
            summary="declare to customs",
        )
        self._undo.append(("clearance", self._cancel_customs))
        return clearance_id

    async def _reserve_slot(self) -> str:
        slot_id = await workflow.execute_activity_method(
            CargoActivities.reserve_slot,
            self._shipment,
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=RETRIES,
            summary="place at the dock",
        )
        self._undo.append(("dock slot", self._release_slot))
        return slot_id

    async def _book_carrier(self) -> str:
        booking_id = await workflow.execute_activity_method(
            CargoActivities.book_carrier,
            self._shipment,
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=RETRIES,
            summary="book a lorry",
        )
        self._undo.append(("booking", self._cancel_carrier))
        return booking_id

    async def _notify(self, released: Released) -> None:
        await workflow.execute_activity_method(
            CargoActivities.notify_consignee,
            released,
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=RETRIES,
            summary="ready to collect",
        )

    async def _compensate(self) -> list[str]:
        """Give back what was reserved; return what could not be given back."""
        stuck = []
        for what, undo in reversed(self._undo):
            try:
                await undo()
            except ActivityError as error:
                workflow.logger.warning("%s not given back: %s", what, _reason(error))
                stuck.append(what)
        return stuck

    async def _cancel_customs(self) -> None:
        await workflow.execute_activity_method(
            CargoActivities.cancel_customs,
            self._shipment,
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=UNDO_RETRIES,
            summary="undo: clearance",
        )

    async def _release_slot(self) -> None:
        await workflow.execute_activity_method(
            CargoActivities.release_slot,
            self._shipment,
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=UNDO_RETRIES,
            summary="undo: dock slot",
        )

    async def _cancel_carrier(self) -> None:
        await workflow.execute_activity_method(
            CargoActivities.cancel_carrier,
            self._shipment,
            start_to_close_timeout=STEP_TIMEOUT,
            retry_policy=UNDO_RETRIES,
            summary="undo: booking",
        )


def _reason(error: BaseException) -> str:
    """What went wrong, without the wrapping of the step it went wrong in."""
    while isinstance(error, ActivityError | ChildWorkflowError) and error.cause is not None:
        error = error.cause
    return error.message if isinstance(error, FailureError) else str(error)

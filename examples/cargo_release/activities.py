"""Everything in the cargo release that touches the outside world."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import httpx
from temporalio import activity
from temporalio.exceptions import ApplicationError

from examples.cargo_release.customs_server import KEY_HEADER
from examples.cargo_release.models import (
    CARRIER_REFUSED,
    CHECK_FAILED,
    RATE_LIMITED,
    SLOT_STILL_HELD,
    Released,
    Shipment,
)

REQUIRED_DOCUMENTS = frozenset({"bill of lading", "invoice"})
FORBIDDEN_HAZARDS = frozenset({"1", "7"})
"""Explosives and radioactive goods do not leave through this port."""
PACKING_SHARE = 0.04
"""Weight of the packing, as a share of the goods."""
CRANE_LIMIT_KG = 40_000.0


class CargoActivities:
    """Activities that share one HTTP client, whose base URL is the port's."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    def all(self) -> list[Callable[..., Any]]:
        """The activities to register with a worker."""
        return [
            self.check_documents,
            self.check_hazard,
            self.weigh,
            self.clear_customs,
            self.cancel_customs,
            self.reserve_slot,
            self.release_slot,
            self.book_carrier,
            self.cancel_carrier,
            self.notify_consignee,
        ]

    @activity.defn
    async def check_documents(self, shipment: Shipment) -> None:
        """Fail unless the papers are complete."""
        missing = sorted(REQUIRED_DOCUMENTS - set(shipment.documents))
        if missing:
            raise _unfit(shipment, f"no {', no '.join(missing)}")

    @activity.defn
    async def check_hazard(self, shipment: Shipment) -> None:
        """Fail when the port may not handle the goods."""
        if shipment.hazard_class in FORBIDDEN_HAZARDS:
            raise _unfit(shipment, f"hazard class {shipment.hazard_class} is not handled here")

    @activity.defn
    async def weigh(self, shipment: Shipment) -> float:
        """Return the gross weight in kilograms; fail when the crane cannot lift it."""
        gross_kg = shipment.weight_kg * (1 + PACKING_SHARE)
        if gross_kg > CRANE_LIMIT_KG:
            raise _unfit(shipment, f"{gross_kg:.0f} kg is too heavy for the crane")
        return gross_kg

    @activity.defn
    async def clear_customs(self, shipment: Shipment) -> str:
        """Declare the shipment; return the clearance id."""
        response = await self._post("/customs", shipment)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            wait = timedelta(seconds=int(response.headers["Retry-After"]))
            raise ApplicationError(
                f"customs is busy: {shipment.shipment_id}, attempt {activity.info().attempt}, "
                f"next one in {wait.seconds} s",
                type=RATE_LIMITED,
                next_retry_delay=wait,
            )
        return _id_in(response)

    @activity.defn
    async def cancel_customs(self, shipment: Shipment) -> None:
        """Withdraw the declaration."""
        response = await self._http.delete("/customs", headers=_key())
        if response.status_code == HTTPStatus.CONFLICT:
            raise ApplicationError(
                f"customs keeps the clearance of {shipment.shipment_id}: "
                f"{response.json()['error']} (attempt {activity.info().attempt})",
                type=SLOT_STILL_HELD,
            )
        response.raise_for_status()

    @activity.defn
    async def reserve_slot(self, shipment: Shipment) -> str:
        """Reserve a place at the dock; return the slot id."""
        return _id_in(await self._post("/dock", shipment))

    @activity.defn
    async def release_slot(self, shipment: Shipment) -> None:
        """Give the place at the dock back."""
        (await self._http.delete("/dock", headers=_key())).raise_for_status()

    @activity.defn
    async def book_carrier(self, shipment: Shipment) -> str:
        """Book a lorry; return the booking id."""
        response = await self._post("/carrier", shipment)
        if response.status_code == HTTPStatus.CONFLICT:
            raise ApplicationError(
                f"the carrier refuses {shipment.shipment_id}: {response.json()['error']}",
                type=CARRIER_REFUSED,
                non_retryable=True,
            )
        return _id_in(response)

    @activity.defn
    async def cancel_carrier(self, shipment: Shipment) -> None:
        """Give the lorry back."""
        (await self._http.delete("/carrier", headers=_key())).raise_for_status()

    @activity.defn
    async def notify_consignee(self, released: Released) -> str:
        """Tell the consignee what to collect; return the message."""
        return f"{released.shipment_id} can be collected: {released.booking_id}"

    async def _post(self, path: str, shipment: Shipment) -> httpx.Response:
        body = {"shipment_id": shipment.shipment_id}
        return await self._http.post(path, json=body, headers=_key())


def _key() -> dict[str, str]:
    # One execution handles one shipment, so its workflow id names what is reserved for it.
    return {KEY_HEADER: activity.info().workflow_id or ""}


def _id_in(response: httpx.Response) -> str:
    response.raise_for_status()
    return str(response.json()["id"])


def _unfit(shipment: Shipment, reason: str) -> ApplicationError:
    return ApplicationError(
        f"{shipment.shipment_id}: {reason}", type=CHECK_FAILED, non_retryable=True
    )

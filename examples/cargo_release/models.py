"""What crosses the boundaries of the cargo release: inputs, results, and types of failures."""

from dataclasses import dataclass, field

RATE_LIMITED = "RateLimited"
"""Customs asked to be called again later."""
CARRIER_REFUSED = "CarrierRefused"
"""The carrier does not take the shipment; asking again does not help."""
CHECK_FAILED = "CheckFailed"
"""The shipment itself is not fit to be released."""
SLOT_STILL_HELD = "SlotStillHeld"
"""Customs does not cancel a clearance while the shipment holds a dock slot."""
NOT_RELEASED = "ShipmentNotReleased"
"""One shipment was not released; the cause says why."""
NOTHING_RELEASED = "NothingReleased"
"""Not one shipment of the order was released."""


@dataclass(frozen=True, slots=True)
class Shipment:
    """Goods of one consignor on the vessel."""

    shipment_id: str
    goods: str
    weight_kg: float
    hazard_class: str | None = None
    """UN hazard class, such as `3` for flammable liquids; None for harmless goods."""
    documents: list[str] = field(default_factory=lambda: ["bill of lading", "invoice"])
    """Names of the documents that came with it."""


@dataclass(frozen=True, slots=True)
class ReleaseOrder:
    """What the parent workflow is asked to do."""

    vessel: str
    shipments: list[Shipment]
    window_seconds: float
    """How long each shipment waits for its release window."""


@dataclass(frozen=True, slots=True)
class ShipmentOrder:
    """What a child workflow is asked to do."""

    shipment: Shipment
    window_seconds: float


@dataclass(frozen=True, slots=True)
class Released:
    """A shipment that left."""

    shipment_id: str
    clearance_id: str
    slot_id: str
    booking_id: str
    gross_kg: float
    """Weight with packing."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A shipment that stayed, and why."""

    shipment_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReleaseSummary:
    """What became of an order."""

    outcome: str
    """`released` or `partly_released`."""
    released: list[Released]
    refused: list[Refused]

"""What Temporal allows, and how near a run comes to it.

A run that grows past a limit is ended by the server, and a payload or an activation past one fails
its workflow task: all without a warning in the history. So the tracer measures against the limits,
live and from histories, and says so on spans and metrics while there is still time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = ["Limit", "Limits", "Use"]


class Limit(StrEnum):
    """What a run can run into: values of `retrospan.limit.name`."""

    PAYLOAD = "payload"
    """Bytes of one input or result."""
    HISTORY_EVENTS = "history_events"
    HISTORY_BYTES = "history_bytes"
    ACTIVATION = "activation"
    """Time that workflow code may take without yielding; the SDK calls more a deadlock."""


class Use(NamedTuple):
    """How much of a limit is used."""

    limit: Limit
    used: float
    maximum: float

    @property
    def headroom(self) -> float:
        """The share that is left, from 1 to 0."""
        return round(max(0.0, 1 - self.used / self.maximum), 4)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits to measure against: the defaults are those of Temporal's server and SDK."""

    payload_bytes: int = 2 * 1024 * 1024
    """`limit.blobSize.error` of the server."""
    history_events: int = 51_200
    """`limit.historyCount.error`"""
    history_bytes: int = 50 * 1024 * 1024
    """`limit.historySize.error`"""
    activation_seconds: float = 2.0
    """The SDK's deadlock limit."""
    near: float = 0.8
    """From this share on, spans name the limit."""
    slow: float = 0.5
    """From this share of `activation_seconds` on, an activation has a span, with its hottest
    lines."""

    def __post_init__(self) -> None:
        """Refuse what could only be a mistake.

        Raises:
            ValueError: A limit is not positive, or a share not between 0 and 1.
        """
        sizes = self.payload_bytes, self.history_events, self.history_bytes
        if min(*sizes, self.activation_seconds) <= 0:
            raise ValueError(f"{self} has a limit that is not positive")
        if not (0 < self.near <= 1 and 0 < self.slow <= 1):
            raise ValueError(f"{self} has a share that is not between 0 and 1")

    def of_payload(self, n_bytes: int) -> Use:
        """How much of the limit a payload uses."""
        return Use(Limit.PAYLOAD, n_bytes, self.payload_bytes)

    def of_activation(self, seconds: float) -> Use:
        """How much of its time an activation used."""
        return Use(Limit.ACTIVATION, seconds, self.activation_seconds)

    def of_history(self, n_events: int | None, n_bytes: int | None) -> Iterator[Use]:
        """How much of its limits a history uses; what is unknown is left out."""
        if n_events:
            yield Use(Limit.HISTORY_EVENTS, n_events, self.history_events)
        if n_bytes:
            yield Use(Limit.HISTORY_BYTES, n_bytes, self.history_bytes)

    def is_far(self, n_events: int, n_bytes: int) -> bool:
        """Whether a history is far from its limits: almost always, and quickly told."""
        return (
            n_events < self.near * self.history_events and n_bytes < self.near * self.history_bytes
        )

    def is_near(self, use: Use) -> bool:
        """Whether it is time to warn."""
        return use.used >= self.near * use.maximum

    def is_slow(self, seconds: float) -> bool:
        """Whether an activation took so long that it should be looked at."""
        return seconds >= self.slow * self.activation_seconds


DEFAULT_LIMITS: Final = Limits()

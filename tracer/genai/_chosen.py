"""What user code runs under: the providers of its worker, and the tenant it works for.

Model calls know nothing of plugins and tenants; the attempt that they run in does. Its interceptor
says so here for the time of the user's code, in one step: it comes up in each attempt.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Final

from opentelemetry import metrics, trace

from tracer._guard import Guard


@dataclass(frozen=True, slots=True)
class Chosen:
    """The providers of one worker, and a tenant."""

    tracer_provider: trace.TracerProvider | None = None
    meter_provider: metrics.MeterProvider | None = None
    guard: Guard | None = None
    tenant: str = ""
    """A label of GenAI metrics; empty if they carry none. Those that instrumentations record
    themselves have none."""

    def enter(self) -> Token[Chosen]:
        """Use them from here on, in this context; give what this returns to `leave`."""
        return _CHOSEN.set(self)

    @staticmethod
    def leave(token: Token[Chosen]) -> None:
        """Use what was used before."""
        _CHOSEN.reset(token)


_CHOSEN: Final[ContextVar[Chosen]] = ContextVar("retrospan-chosen", default=Chosen())  # noqa: B039 - frozen


def chosen() -> Chosen:
    """What was chosen here and now; nothing outside of attempts."""
    return _CHOSEN.get()

"""The tenant as a label of GenAI metrics, where the user asked for it.

Model calls know nothing of tenants; the attempt that they run in does. Its interceptor says so here
for the time of the user's code. Metrics that instrumentations record themselves have no tenant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_TENANT: Final[ContextVar[str]] = ContextVar("retrospan-tenant", default="")


def current_tenant() -> str:
    """The tenant that metrics recorded here and now belong to; empty if they carry none."""
    return _TENANT.get()


@contextmanager
def measured_for(tenant: str) -> Iterator[None]:
    """Label the GenAI metrics of the code inside with this tenant; with none if it is empty."""
    token = _TENANT.set(tenant)
    try:
        yield
    finally:
        _TENANT.reset(token)

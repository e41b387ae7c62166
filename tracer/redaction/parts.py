"""What spans, metrics and log records have in common: resources, scopes, attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tracer.redaction.redactor import Redactor

_MAX_ORIGINS: Final = 256
"""Resources and scopes that are remembered; then all are forgotten."""


class Origins:
    """Resources and scopes: few, and shared by thousands of spans, so that each is searched once.

    Exporters group by them; one object must stay one object.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._known: dict[int, tuple[object, object]] = {}

    def resource(self, resource: Resource) -> Resource:
        """The resource as it may leave."""
        return self._once(resource, self._resource)

    def scope[S: (InstrumentationScope | None)](self, scope: S) -> S:
        """The scope as it may leave; `None` where there is none."""
        return scope if scope is None else self._once(scope, self._scope)

    def _once[T](self, origin: T, redacted: Callable[[Any], Any]) -> T:
        # Kept with its original: an id is unique only while its object lives.
        known = self._known.get(id(origin))
        if known is None or known[0] is not origin:
            if len(self._known) >= _MAX_ORIGINS:
                self._known.clear()
            self._known[id(origin)] = known = (origin, redacted(origin))
        return cast("T", known[1])

    def _resource(self, resource: Resource) -> Resource:
        attributes, touched = self._redactor.attributes(resource.attributes)
        return Resource(attributes, resource.schema_url) if touched else resource

    def _scope(self, scope: InstrumentationScope) -> InstrumentationScope:
        attributes, touched = self._redactor.attributes(scope.attributes)
        if not touched:
            return scope
        return InstrumentationScope(scope.name, scope.version, scope.schema_url, attributes)


def bounded(attributes: Mapping[str, Any], dropped: int) -> BoundedAttributes:
    """The attributes, with the number of those that the SDK dropped."""
    # The encoder reads how many attributes the SDK dropped from the attributes themselves.
    bounded = BoundedAttributes(attributes=attributes, immutable=True)
    bounded.dropped = dropped
    return bounded


def with_fields[D: Any](item: D, **fields: object) -> D:
    """The dataclass with these fields; itself if all of them are what it has."""
    if all(getattr(item, name) is value for name, value in fields.items()):
        return item
    changed: D = replace(item, **fields)
    return changed

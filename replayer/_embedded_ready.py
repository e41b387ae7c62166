"""When a Temporal server may be used: it answers, and it has what the caller asked for.

A port that accepts connections proves nothing: the namespace and the search attributes of a fresh
server exist a moment later than its port. Each check here is a real call; what is still missing is
said in words, so that a deadline can end in a sentence instead of a gRPC status.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from temporalio.client import Client

_CALL_DEADLINE = timedelta(seconds=5)


class NotReadyError(Exception):
    """What is not there yet, in words; another try may succeed."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a server has to offer before it counts as ready."""

    address: str
    """`HOST:PORT` of its frontend."""
    namespace: str | None = None
    """A namespace that must exist; None asks for none (the test server makes them up)."""
    search_attributes: Mapping[str, str] = field(default_factory=dict)
    """Search attributes that must be registered: name to type."""
    connect_options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `Client.connect`, for example `tls`."""


async def check(expected: Expectation) -> None:
    """Call the server once for each thing expected of it.

    Raises:
        NotReadyError: It does not answer, or something is missing.
    """
    client = await _connect(expected)
    if expected.namespace is not None:
        await _check_namespace(client, expected)
    if expected.search_attributes:
        await _check_search_attributes(client, expected)


async def _connect(expected: Expectation) -> "Client":
    from temporalio.client import Client

    options = {"namespace": expected.namespace or "default", **expected.connect_options}
    try:
        return await Client.connect(expected.address, **options)
    except (RuntimeError, ValueError) as error:
        raise NotReadyError(f"{expected.address} does not answer ({_gist(error)})") from error


def _gist(error: Exception) -> str:
    """The sentence inside a connection error, which the SDK wraps in a dump of Rust structures."""
    quoted = re.findall(r'"([^"]+)"', str(error))
    return quoted[-1] if quoted else str(error)


async def _check_namespace(client: "Client", expected: Expectation) -> None:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.service import RPCError, RPCStatusCode

    request = DescribeNamespaceRequest(namespace=expected.namespace or "")
    try:
        await client.workflow_service.describe_namespace(request, timeout=_CALL_DEADLINE)
    except RPCError as error:
        if error.status is RPCStatusCode.PERMISSION_DENIED:  # it exists, we may just not look at it
            return
        raise NotReadyError(
            f"{expected.address} has no namespace {expected.namespace!r} ({error.message})"
        ) from error


async def _check_search_attributes(client: "Client", expected: Expectation) -> None:
    from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
    from temporalio.service import RPCError

    request = ListSearchAttributesRequest(namespace=expected.namespace or "")
    try:
        registered = await client.operator_service.list_search_attributes(
            request, timeout=_CALL_DEADLINE
        )
    except RPCError as error:
        raise NotReadyError(
            f"{expected.address} does not list search attributes ({error.message})"
        ) from error
    missing = sorted(expected.search_attributes.keys() - registered.custom_attributes.keys())
    if missing:
        raise NotReadyError(f"{expected.address} has no search attribute {', '.join(missing)}")

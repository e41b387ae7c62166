"""Where a demo's telemetry goes: to its own collector, and to the one that was named.

The other one gets Temporal's own metrics as well. It hears every few seconds instead of every
minute, since a demo is over before a minute is.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig

from tracer import Telemetry, configure_otlp, temporal_runtime
from tui.cli.diagnostics import CommandError
from tui.cli.exits import Exit
from tui.demo.collector import CollectorProcess

_SERVICE: Final = "retrospan-demo"
_INTERVAL: Final = timedelta(seconds=2)
_HTTP_PORT: Final = 4318
_CORE_LOGGER: Final = "temporalio.core"


def exporting(collector: CollectorProcess, otlp: str | None) -> Telemetry:
    """Providers that export to the demo's collector and, if there is one, to the other.

    Raises:
        CommandError: The other one's URL is no address.
    """
    if otlp is None:
        return configure_otlp(_SERVICE, endpoint=f"http://{collector.grpc_endpoint}")
    own = collector.http_endpoint if _is_http(otlp) else f"http://{collector.grpc_endpoint}"
    try:
        return configure_otlp(
            _SERVICE,
            endpoint=own,
            also=[otlp],
            protocol="http/protobuf" if _is_http(otlp) else "grpc",
            interval=_INTERVAL,
        )
    except ValueError as error:
        raise CommandError(f"--otlp: {error}", Exit.USAGE) from None


def runtime_of(otlp: str | None) -> Runtime:
    """A runtime whose log goes where Python's goes: the default prints to stdout."""
    if otlp is not None:
        return temporal_runtime(
            _SERVICE,
            endpoint=otlp,
            protocol="http/protobuf" if _is_http(otlp) else "grpc",
            interval=_INTERVAL,
            logger=logging.getLogger(_CORE_LOGGER),
        )
    forwarding = LogForwardingConfig(logging.getLogger(_CORE_LOGGER))
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig("WARN", forwarding=forwarding)))


def _is_http(url: str) -> bool:
    """OTLP over gRPC knows no paths; over HTTP, 4318 is its port."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        return parts.path.strip("/") != "" or parts.port == _HTTP_PORT
    except ValueError:
        return False

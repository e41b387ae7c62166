"""What the standard `OTEL_*` variables say, where the SDK's exporters leave a gap.

The SDK reads headers, timeouts, certificates, compression, samplers, limits, batch sizes and
temporality by itself, and is left to. It does not choose the protocol or the exporter for providers
that a program makes, and it takes an address without a scheme for TLS, so that a collector at
`127.0.0.1:4317` cannot be reached.
"""

from __future__ import annotations

import ipaddress
import os
from importlib.metadata import entry_points
from typing import Any, Final, Literal

type Protocol = Literal["grpc", "http/protobuf"]
type Signal = Literal["traces", "metrics"]

_PROTOCOLS: Final = ("grpc", "http/protobuf")
_DEFAULT_ENDPOINTS: Final = {
    "grpc": "http://localhost:4317",
    "http/protobuf": "http://localhost:4318",
}


def is_sdk_disabled() -> bool:
    """Whether `OTEL_SDK_DISABLED` turns telemetry off."""
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def exporter_names(signal: Signal) -> list[str]:
    """From `OTEL_TRACES_EXPORTER` or `OTEL_METRICS_EXPORTER`; `["otlp"]` if unset, `[]` if `none`.

    Empty too where the SDK is disabled.
    """
    if is_sdk_disabled():
        return []
    text = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip() or "otlp"
    names = [name.strip() for name in text.split(",")]
    return [name for name in names if name and name.lower() != "none"]


def load_exporter(signal: Signal, name: str) -> Any:
    """An exporter, or reader of metrics, that an installed package offers under this name.

    Raises:
        ValueError: No installed package does.
    """
    found = entry_points(group=f"opentelemetry_{signal}_exporter", name=name)
    for entry in found:
        return entry.load()()
    raise ValueError(
        f"OTEL_{signal.upper()}_EXPORTER names {name!r}, which no installed package offers;"
        " expected otlp, console, none, or an installed exporter"
    )


def protocol_of(signal: Signal, given: str | None) -> Protocol:
    """What to speak: as given, else as the environment says, else gRPC.

    Raises:
        ValueError: It is a protocol that the SDK has no exporter for.
    """
    name = given or _signal_variable(signal, "PROTOCOL").strip() or "grpc"
    for protocol in _PROTOCOLS:
        if name == protocol:
            return protocol
    raise ValueError(
        f"OTLP protocol is {name!r}; expected {' or '.join(_PROTOCOLS)}"
        " (argument, or OTEL_EXPORTER_OTLP_PROTOCOL)"
    )


def endpoint_of(signal: Signal, protocol: Protocol, given: str | None) -> str:
    """The address with its scheme and, for HTTP, the signal's path.

    Args:
        signal: The signal to send.
        protocol: What the endpoint speaks.
        given: A base address that overrides the environment.

    Raises:
        ValueError: What is given, or set, is no address.
    """
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "")
    if own and not given:
        # As OTLP's specification asks: an address for one signal is used as it is.
        return _checked(with_scheme(own, signal))
    base = given or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or _DEFAULT_ENDPOINTS[protocol]
    base = _checked(with_scheme(base, signal))
    return base if protocol == "grpc" else f"{base.rstrip('/')}/v1/{signal}"


def _checked(endpoint: str) -> str:
    # Exporters take any text, and then try in vain to reach it.
    if not _host(endpoint.partition("://")[2]) or any(
        character.isspace() for character in endpoint
    ):
        raise ValueError(
            f"the OTLP endpoint {endpoint!r} is no address; expected one such as "
            "http://127.0.0.1:4317"
        )
    return endpoint


def with_scheme(endpoint: str, signal: Signal) -> str:
    """The endpoint with a scheme: plain on loopback or if `…_INSECURE` asks for it, else TLS."""
    if "://" in endpoint:
        return endpoint
    is_plain = _signal_variable(signal, "INSECURE").strip().lower() == "true" or is_loopback(
        _host(endpoint)
    )
    return f"{'http' if is_plain else 'https'}://{endpoint}"


def is_loopback(host: str) -> bool:
    """Whether the host can only be this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def headers_of(signal: Signal) -> dict[str, str]:
    """Headers of the signal's requests."""
    from opentelemetry.util.re import parse_env_headers

    return dict(parse_env_headers(_signal_variable(signal, "HEADERS"), liberal=True))


def _signal_variable(signal: Signal, name: str) -> str:
    """A variable for one signal, which precedes that for all of them."""
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", "")
    return own or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")


def _host(endpoint: str) -> str:
    authority = endpoint.partition("/")[0]
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    # More than one colon is an IPv6 address without port.
    return authority if authority.count(":") > 1 else authority.partition(":")[0]

"""How much of hostile input is read before it is refused.

Each limit is far above anything that a Temporal server writes (at most 51,200 events and 50 MB per
history by default), and low enough that a bomb ends in one error line and not in an exhausted
machine. Sizes are bytes after decompression.
"""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024

MAX_DOCUMENT_BYTES: Final = 256 * MIB
"""One JSON document, one protobuf `History`, or one item of a Cloud export."""

MAX_DOCUMENT_VALUES: Final = 8_000_000
"""Values in one JSON document: a short text can otherwise grow 20-fold when it is parsed."""

MAX_PAYLOAD_BYTES: Final = 64 * MIB
"""One payload. Servers refuse 2 MB by default, and gRPC carries no message of this size."""

MAX_EXPANDED_BYTES: Final = 16 * 1024 * MIB
"""Everything that one archive or compressed file may unpack to."""

MAX_CONTAINER_DEPTH: Final = 4
"""Compression and archive layers around one history: `.tar.gz` in a `.zip` is 3."""

MAX_MESSAGE_DEPTH: Final = 90
"""Nested failures in one event: protobuf itself refuses messages deeper than 100."""

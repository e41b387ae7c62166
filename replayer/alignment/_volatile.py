"""What no two runs share although nothing is different: ids, times of the run, addresses.

Only what is recognisably drawn at random or read from a clock counts. A number or a date is a time
of the run only if it lies within a day of the run: an account number, a date of birth or an amount
must never be taken for one, because a difference that is masked is a difference that nobody sees.
For the same reason long hexadecimal digests are compared: they stand for content.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import orjson

from tracer.model import Run
from tracer.model.failures import ADDRESS, UUID
from tracer.model.words import Payload

__all__ = ["Masked", "Masker", "is_same_but_volatile"]

type Masked = tuple[str | bytes, ...]
"""What payloads say, with what is volatile replaced by the name of its kind."""

_DAY_NS: Final = 86_400 * 1_000_000_000
_NS: Final = 1_000_000_000

_END: Final = r"(?![0-9a-z])"
_RANDOM: Final = (
    rf"(?P<uuid>{UUID})",
    rf"(?P<address>{ADDRESS})",
    # Ids of model APIs. A word such as `call_customer` has no digit.
    r"(?P<call>\b(?:chatcmpl|cmpl|msg|call|toolu|resp|req|fc|rs)[-_](?=[a-z_-]*\d)[0-9a-z_-]{8,}\b)",
    r"(?P<ulid>\b0[0-7][0-9a-hjkmnp-tv-z]{24}\b)",
    # As `uuid4().hex[:8]` behind a prefix: lower case, and of a length that programs choose.
    r"(?P<short>(?-i:(?<=[A-Za-z][-_])(?=[0-9]*[a-f])(?=[a-f]*[0-9])"
    rf"(?:[0-9a-f]{{8}}|[0-9a-f]{{12}}|[0-9a-f]{{16}}|[0-9a-f]{{24}}|[0-9a-f]{{32}})){_END})",
    # Letters and digits mixed. Not: a bank account or passport number (letters, then digits only),
    # its mirror image, a number with an exponent. Up to 39: longer ones are digests, which stand
    # for what they are made from.
    r"(?P<hex>(?<![0-9a-z])(?=[0-9]*[a-f])(?=[a-f]*[0-9])"
    rf"(?![a-f]{{1,3}}\d{{5,}}{_END})(?!\d{{5,}}[a-f]{{1,2}}{_END})(?!\d+e\d+{_END})"
    rf"[0-9a-f]{{8,39}}{_END})",
)
_PERHAPS_HEX: Final = re.compile(rf"<hex>|(?<![0-9a-z<])[0-9a-f]{{8,39}}{_END}", re.IGNORECASE)
"""What is masked, or would be if it had digits and letters: one of forty random ids has not."""
_TIMES: Final = (
    r"(?P<iso>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)",
    # Seconds, milliseconds, microseconds, nanoseconds.
    r"(?P<epoch>(?<![\w.-])(?:\d{19}|\d{16}|\d{13}|\d{10}(?:\.\d+)?)(?![\w.]))",
)
_VOLATILE: Final = re.compile(
    # At the beginning of a word with a digit in it; all other words are passed over at once.
    rf"(?<![0-9a-z])(?=[a-z_-]*\d)(?:{'|'.join((*_RANDOM, *_TIMES))})",
    re.IGNORECASE,
)
_DIGIT: Final = re.compile(r"\d")
_SHORTEST: Final = 8
"""Characters of what is volatile; only an address can have fewer."""
_SHORTEST_ID: Final = 3
_EPOCH_UNITS: Final = {10: _NS, 13: 1_000_000, 16: 1_000, 19: 1}
"""Nanoseconds per unit by the number of digits, for times of this century."""


class Masker:
    """Replaces what is volatile in the texts of one run."""

    def __init__(self, run: Run) -> None:
        first = run.started_at
        last = run.closed_at or run.last_event_at or first
        self._from = None if first is None else first - _DAY_NS
        self._to = None if last is None else last + _DAY_NS
        self._own = sorted(_own_ids(run), key=len, reverse=True)
        self._own_pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, self._own))})(?!\w)")

    def text(self, text: str) -> str:
        """The text with each volatile part replaced by the name of its kind."""
        for each in self._own:
            if each in text:
                text = self._own_pattern.sub("<own>", text)
                break
        # Nothing volatile has a quote in it, and to the pattern a quote is as good as an end. Most
        # of what is between those of JSON is short or has no digit, and need not be searched.
        shortest = 0 if "0x" in text or "0X" in text else _SHORTEST
        return '"'.join(
            [
                _VOLATILE.sub(self._mask, part)
                if len(part) >= shortest and _DIGIT.search(part)
                else part
                for part in text.split('"')
            ]
        )

    def payloads(self, payloads: Sequence[Payload]) -> Masked:
        """What payloads say, apart from what is volatile; comparable with another run's."""
        return tuple(map(self._payload, payloads))

    def _payload(self, payload: Payload) -> str | bytes:
        encoding = payload.metadata.get("encoding", b"")
        data: bytes = payload.data
        if b"encrypt" in encoding:
            # The same text is encrypted differently each time, to the same length.
            return f"{len(data)} encrypted bytes"
        try:
            if encoding.startswith(b"json/"):
                data = orjson.dumps(orjson.loads(data), option=orjson.OPT_SORT_KEYS)
            return self.text(data.decode())
        # `TypeError`: nested deeper than orjson writes, though it reads that.
        except (ValueError, TypeError, RecursionError):
            return data

    def _mask(self, match: re.Match[str]) -> str:
        kind = match.lastgroup or ""
        if kind == "iso":
            return "<time>" if self._is_near(_of_iso(match[0])) else match[0]
        if kind == "epoch":
            return "<time>" if self._is_near(_of_epoch(match[0])) else match[0]
        return "<hex>" if kind == "short" else f"<{kind}>"

    def _is_near(self, at: int | None) -> bool:
        if at is None or self._from is None or self._to is None:
            return False
        return self._from <= at <= self._to


def is_same_but_volatile(left: Masked, right: Masked) -> bool:
    """Whether what is left after masking is the same.

    A random id that happens to consist of digits is known for one by what stands in its place on
    the other side.
    """
    return left == right or (
        len(left) == len(right)
        and all(
            ours == theirs
            or (isinstance(ours, str) and isinstance(theirs, str) and _is_same_text(ours, theirs))
            for ours, theirs in zip(left, right, strict=True)
        )
    )


def _is_same_text(ours: str, theirs: str) -> bool:
    if _PERHAPS_HEX.sub("", ours) != _PERHAPS_HEX.sub("", theirs):
        return False
    pairs = zip(_PERHAPS_HEX.findall(ours), _PERHAPS_HEX.findall(theirs), strict=True)
    return all(one == other or "<hex>" in (one, other) for one, other in pairs)


def _own_ids(run: Run) -> set[str]:
    """Workflow ids by which the run and those above it are known; run ids are UUIDs anyway."""
    ids = {run.key.workflow_id, run.key.run_id}
    ids |= {other.workflow_id for other in (run.parent, run.root) if other is not None}
    return {each for each in ids if len(each) >= _SHORTEST_ID}


def _of_iso(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return round(moment.timestamp() * _NS)


def _of_epoch(text: str) -> int:
    whole, _, _ = text.partition(".")
    return int(whole) * _EPOCH_UNITS[len(whole)]

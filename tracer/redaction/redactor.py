"""Applies a policy to texts, values and attributes. Knows nothing of OpenTelemetry.

What is not touched is returned as the same object, so that callers see by identity whether
anything was found and copy nothing where nothing was.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

from tracer.redaction.patterns import Pattern
from tracer.redaction.policy import SEAM, SPOKEN_KEYS, Finding, Redaction

type Attributes = Mapping[str, Any]

_logger = logging.getLogger("retrospan.tracer")

_MAX_DEPTH: Final = 16
"""Nested deeper than this, a value is replaced as a whole."""
_MEMORY: Final = 4_096
"""Short texts and keys that are remembered; then all are forgotten."""
_SHORT: Final = 128
"""Types, names and queues come with every span; remembering that they are clean makes them free."""


class _Rule(Enum):
    """What to do with the value of a key; a pattern instead means to replace it as a whole."""

    KEEP = auto()
    SEARCH = auto()


class Redactor:
    """Applies one policy. May be used from several threads."""

    def __init__(self, policy: Redaction | None = None) -> None:
        self.policy = policy or Redaction()
        patterns = self.policy.patterns
        # Flat and by length, because looking for hints is most of the work on clean texts.
        self._hints = sorted(
            (pattern.shortest, hint, n)
            for n, pattern in enumerate(patterns)
            for hint in pattern.hints
        )
        self._always = {n for n, pattern in enumerate(patterns) if not pattern.hints}
        self._clean: dict[str, None] = {}
        self._rules: dict[str, Pattern | _Rule] = {}
        self._callback_failed = False

    def text(self, text: str, key: str = "") -> str:
        """The text without what the policy takes out, cut where it exceeds the limit."""
        if text in self._clean:
            return text
        limit = self.policy.limit
        if len(text) > limit:
            return self._cut(text, key)
        found = self._searched(text, key)
        if found is text and len(text) <= _SHORT:
            _remember(self._clean, text, None)
        return found

    def value(self, value: Any, key: str = "", depth: int = 0) -> Any:
        """The same for a value of an attribute: text, bytes, or nested sequences and mappings.

        Numbers and booleans pass.
        """
        if value is None or isinstance(value, int | float):
            return value
        if isinstance(value, str):
            return self.text(value, key)
        if depth >= _MAX_DEPTH:
            return self.policy.replacement.replace("{name}", "depth")
        match value:
            case bytes():
                text = value.decode("utf-8", "surrogateescape")
                found = self.text(text, key)
                return value if found is text else found.encode("utf-8", "surrogateescape")
            case Mapping():
                # Keys of a value are its author's own: the allow-list speaks of attributes only.
                return self._mapping(value, depth + 1, allow=None)[0]
            case list() | tuple():
                items = [self.value(item, key, depth + 1) for item in value]
                same = all(new is old for new, old in zip(items, value, strict=True))
                return value if same else tuple(items)
            case _:
                return self.text(str(value), key)

    def attributes(self, attributes: Attributes | None) -> tuple[Attributes, int]:
        """The attributes as they may leave, and how many of them were changed or removed."""
        if not attributes:
            return attributes or {}, 0
        return self._mapping(attributes, 0, allow=self.policy.allow)

    def _mapping(
        self, items: Attributes, depth: int, allow: frozenset[str] | None
    ) -> tuple[Attributes, int]:
        changed: dict[str, Any] = {}
        gone: list[str] = []
        for key, value in items.items():
            rule = self._rules.get(key) or self._rule(key)
            if rule is _Rule.KEEP:
                continue
            if allow is not None and key not in allow and key not in self.policy.keep:
                gone.append(key)
                continue
            if isinstance(rule, Pattern):
                new = self._put(rule, value, key)
            else:
                new = self.value(value, key, depth)
            if new is not value:
                changed[key] = new
        if not changed and not gone:
            return items, 0
        left = {**items, **changed}
        for key in gone:
            del left[key]
        return left, len(changed) + len(gone)

    def _rule(self, key: str) -> Pattern | _Rule:
        policy = self.policy
        rule: Pattern | _Rule
        if key in policy.keep:
            rule = _Rule.SEARCH if key in SPOKEN_KEYS else _Rule.KEEP
        else:
            found = (pattern for pattern in policy.keys if pattern.regex.search(key[-_SHORT:]))
            rule = next(found, _Rule.SEARCH)
        _remember(self._rules, key, rule)
        return rule

    def _put(self, pattern: Pattern, value: Any, key: str) -> Any:
        if value is None:
            return None
        text = value if isinstance(value, str) else str(value)
        new = self._decided(Finding(pattern, text, key))
        return value if new == text else new

    def _cut(self, text: str, key: str) -> str:
        head = self._searched(text[: self.policy.limit], key)
        return f"{head[:-SEAM]}… [cut: {len(text):,} characters]"

    def _searched(self, text: str, key: str) -> str:
        lower, length = text.lower(), len(text)
        likely = set(self._always)
        for shortest, hint, n in self._hints:
            if shortest > length:
                break
            if hint in lower:
                likely.add(n)
        found = text
        for n in sorted(likely):
            found = self._replaced(self.policy.patterns[n], found, key)
        return text if found == text else found

    def _replaced(self, pattern: Pattern, text: str, key: str) -> str:
        def put(match: re.Match[str]) -> str:
            group = match.lastindex or 0
            secret = match[group]
            if not secret or (pattern.check is not None and not pattern.check(secret)):
                return match[0]
            start, end = match.span(group)
            new = self._decided(Finding(pattern, secret, key))
            return f"{text[match.start() : start]}{new}{text[end : match.end()]}"

        return pattern.regex.sub(put, text)

    def _decided(self, finding: Finding) -> str:
        callback = self.policy.callback
        decided: str | None = None
        if callback is not None:
            try:
                decided = callback(finding)
            except Exception:  # noqa: BLE001 - a user's code must neither leak nor lose the span
                self._note_callback()
        return self.policy.replacing(finding.pattern) if decided is None else decided

    def _note_callback(self) -> None:
        if not self._callback_failed:
            self._callback_failed = True
            _logger.exception("retrospan: Redaction.callback raised; its findings are replaced")


def _remember[V](memory: dict[str, V], key: str, value: V) -> None:
    if len(memory) >= _MEMORY:
        memory.clear()
    memory[key] = value

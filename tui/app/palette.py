"""The palette: every action of the screen, found by what it does.

It reads the bindings that are active, as the help does: what has a key has an entry, and nothing
else has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.app.help_screen import shown_key

type Run = Callable[[], Awaitable[bool]]


class Actions(Provider):
    """The actions of the screen below the palette."""

    async def discover(self) -> Hits:
        """All of them, before anything is typed."""
        for text, key, action in self._actions():
            yield DiscoveryHit(text, action, help=key)

    async def search(self, query: str) -> Hits:
        """Those that fit what was typed."""
        matcher = self.matcher(query)
        for text, key, action in self._actions():
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), action, help=key)

    def _actions(self) -> Iterator[tuple[str, str, Run]]:
        """What an action does, its key, and the action; each once."""
        told: set[str] = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            text = binding.tooltip or binding.description
            if text and binding.action not in told and "palette" not in binding.action:
                told.add(binding.action)
                run = partial(self.app.run_action, binding.action, active.node)
                yield text, shown_key(binding), run

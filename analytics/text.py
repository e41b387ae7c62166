"""The one sanitizer between other people's text and a person's eye.

Telemetry, payloads, failures, ids and SQL results are hostile until they passed `safe_text`. A raw
escape sequence in an error message can rewrite the window title, fill the clipboard or hide the
line above it; a bidirectional override can show `txt.exe` for `exe.txt`. Nothing is dropped: each
character that could act instead of show is replaced by a visible picture of itself, so that a
reader sees that it was there.

Markup is not this module's concern: no widget or table parses terminal markup (`[red]`), and
templates of pages escape HTML.
"""

from __future__ import annotations

import re

__all__ = ["safe_text"]

_NAMES = {
    0x061C: "ALM",
    0x200B: "ZWSP",
    0x200E: "LRM",
    0x200F: "RLM",
    0x2028: "LS",
    0x2029: "PS",
    0x202A: "LRE",
    0x202B: "RLE",
    0x202C: "PDF",
    0x202D: "LRO",
    0x202E: "RLO",
    0x2060: "WJ",
    0x2066: "LRI",
    0x2067: "RLI",
    0x2068: "FSI",
    0x2069: "PDI",
    0xFEFF: "BOM",
}

# C0, DEL, C1; invisible and bidirectional formatting; interlinear annotation; lone surrogates; and
# tag characters, which hide instructions to a model in text that looks empty.
# Without tab and line feed: a look-ahead that spares them would make the search four times slower.
_ACTS = (
    "\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
)
_LINE = re.compile(f"[\t\n{_ACTS}]")
_BLOCK = re.compile(f"[{_ACTS}]")


def safe_text(text: str, *, multiline: bool = False) -> str:
    """Make `text` safe to print: what would act on a terminal becomes visible instead.

    Args:
        text: Anything, lone surrogates included.
        multiline: Keep line feeds and tabs. Without it the result is always one line.

    Returns:
        Text without control characters, encodable as UTF-8. Applying this function again changes
        nothing.
    """
    return (_BLOCK if multiline else _LINE).sub(_picture, text)


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"⟪{_NAMES.get(code) or f'U+{code:04X}'}⟫"

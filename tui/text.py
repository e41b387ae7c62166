"""The one sanitizer between other people's text and a terminal.

Telemetry, payloads, failures, ids and SQL results are hostile until they passed `safe_text`. A raw
escape sequence in an error message can rewrite the window title, fill the clipboard or hide the
line above it; a bidirectional override can show `txt.exe` for `exe.txt`. Nothing is dropped: each
character that could act instead of show is replaced by a visible picture of itself, so that a
reader sees that it was there.

Terminal markup (`[red]`) is not this module's concern: no widget or table here parses markup.
"""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells, set_cell_size

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
_ACTS = (
    "\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
)
_LINE = re.compile(f"[{_ACTS}]")
_BLOCK = re.compile(f"(?![\n\t])[{_ACTS}]")


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


def clip(text: str, width: int) -> str:
    """Make `text` exactly `width` cells wide: padded with spaces, or cut with an ellipsis.

    Args:
        text: Text that `safe_text` returned.
        width: Terminal cells; a wide character takes two.
    """
    if width <= 0:
        return ""
    # No character is narrower than nothing: what lies beyond can only be cut off, so it need not
    # be measured. Lines of several megabytes occur.
    head = text[: 4 * width]
    if len(head) == len(text) and cell_len(head) <= width:
        return set_cell_size(head, width)
    return set_cell_size(set_cell_size(head, width - 1).rstrip() + "…", width)


def fold(text: str, width: int, *, first: int | None = None) -> list[str]:
    """Cut `text` into parts that fit `width` cells each; joined again they are `text`.

    Args:
        text: Text that `safe_text` returned, one line.
        width: At least 2, so that a wide character fits.
        first: The cells that the first part may take, where they are fewer; it can be empty.

    Returns:
        At least one part.
    """
    if first is None or first >= width:
        return _chopped(text, width)
    if first <= 0:
        return ["", *_chopped(text, width)] if text else [""]
    # Only as much is measured as can fit: cutting a long text part by part would be quadratic.
    head = _chopped(text[: 4 * first], first)[0]
    rest = text[len(head) :]
    return [head, *_chopped(rest, width)] if rest else [head]


def _chopped(text: str, width: int) -> list[str]:
    parts = chop_cells(text, width)
    missing = len(text) - sum(map(len, parts))
    if not missing:
        return parts or [""]
    # `chop_cells` leaves out a last part that has no width, such as a lone combining accent.
    return [*parts[:-1], parts[-1] + text[-missing:]] if parts else [text]


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"⟪{_NAMES.get(code) or f'U+{code:04X}'}⟫"

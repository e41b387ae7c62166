"""Text made to fit a terminal, after `safe_text` made it safe to show."""

from __future__ import annotations

from rich.cells import cell_len, chop_cells, set_cell_size

from analytics.text import safe_text

__all__ = ["clip", "fold", "safe_text"]


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
    if text.isascii():
        # Each character takes a cell; measuring a payload of megabytes would take seconds.
        return [text[at : at + width] for at in range(0, len(text), width)] or [""]
    parts = chop_cells(text, width)
    missing = len(text) - sum(map(len, parts))
    if not missing:
        return parts or [""]
    # `chop_cells` leaves out a last part that has no width, such as a lone combining accent.
    return [*parts[:-1], parts[-1] + text[-missing:]] if parts else [text]

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.haystack import Haystack

# Letters whose lower case is longer than they are, and line feeds, are what could shift places.
TEXTS = st.lists(st.text("ab\nİ", max_size=4), max_size=8)
NEEDLES = st.text("abA\n", min_size=1, max_size=3)


@given(TEXTS, NEEDLES)
def test_a_search_through_all_texts_finds_what_a_search_through_each_does(
    texts: list[str], needle: str
) -> None:
    plain = needle.replace("\n", " ").lower()
    having = [index for index, text in enumerate(texts) if plain in text.replace("\n", " ").lower()]
    haystack = Haystack(texts)

    assert list(haystack.having(needle)) == having
    for index in range(len(texts)):
        after = [other for other in having if other > index]
        before = [other for other in having if other < index]
        assert haystack.after(index, needle) == (after[0] if after else None)
        assert haystack.before(index, needle) == (before[-1] if before else None)

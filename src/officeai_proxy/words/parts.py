"""A long text in, spans of it out, of which none changes how its neighbours are folded and cut.

A word is never cut. A run of Chinese, Japanese or Korean may be, between two of its characters.
"""

import re
from collections.abc import Iterator

from officeai_proxy.words.steady import MARK, RUN

PART = 32 * 1024
"""Code points from which on a span ends where it may."""

# Rare ideographs and those kept for compatibility are folded one by one, like those of RUN.
_RUN = f"{RUN}\uf900-\ufaff\U00020000-\U0002fa1f\U00030000-\U0003ffff"
_CUT = re.compile(rf"[\0-/:-@\[-`{{-\x7f{MARK}]|[{_RUN}](?=[{_RUN}])")


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Spans that make up *text*, of PART code points or as many more as its words need.

    The character behind a span may be read with it: a sign, or the next one of the same run.
    """
    start = 0
    while cut := _CUT.search(text, start + PART):
        yield start, cut.start()
        start = cut.start()
    yield start, len(text)

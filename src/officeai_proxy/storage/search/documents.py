"""A message in, what either database's index is given for it out; no SQL.

Beside the tokens that `words.tokens` makes there are some that say whose the message is. An
underscore begins those, and no text gives such a token.

FTS5 takes any text. A `tsvector` ends at a megabyte, at 16,383 places and at 256 of each token
(PostgreSQL manual, 12.11); a longer message is a set of its tokens there, without places.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from typing import NamedTuple

from officeai_proxy.crypto.sealing import Hasher
from officeai_proxy.words.tokens import Tokens, tokens_of
from officeai_proxy.words.units import MAX_WORD

NEAR_BITS, FAR_BITS = 12, 17
"""PostgreSQL: how many ids share one token of recency, see `storage.search.queries`."""

MAX_PLACES = 16_000
"""PostgreSQL: words and pairs of a message in a `tsvector`."""

MAX_REPEATS = 256
"""PostgreSQL: how often one token may be among them."""

MAX_BYTES = 750_000
"""PostgreSQL: how long they may be in UTF-8, with their places."""

_PLACE_BYTES = 6
_MOST_BYTES = 4 * MAX_WORD + _PLACE_BYTES

TOO_RICH = "_t"
"""The token of a message that has more different words than are indexed: only its text can say."""


class Document(NamedTuple):
    """A message as the index sees it; *hasher* hides the words of one that is stored sealed."""

    id: int
    workspace: str
    user: str
    role: str
    content: str
    hasher: Hasher | None = None

    @property
    def tokens(self) -> Tokens:
        """What the index holds of the text; hashed where the text is sealed."""
        tokens = tokens_of(self.content)
        return tokens if self.hasher is None else _hashed_tokens(tokens, self.hasher)


def fts5_text(document: Document) -> str:
    """What FTS5 is given for a message: tokens with spaces between."""
    tokens = document.tokens
    scope = _scope_text(document.workspace, document.user, document.role)
    said = TOO_RICH if tokens.is_too_rich else tokens.said
    return " ".join((scope, said, *tokens.singles))


class Entry(NamedTuple):
    """What PostgreSQL is given for a message: the text of a `tsvector`, or tokens of a set."""

    vector: str = ""
    long_words: str | None = None

    @classmethod
    def of(cls, document: Document) -> "Entry":
        """The entry of a message, a set only if it has to be."""
        tokens = document.tokens
        scope = _scope_text(document.workspace, document.user, document.role)
        if tokens.is_too_rich:
            return cls(long_words=f"{scope} {TOO_RICH}")
        ordered = tokens.ordered
        if not _fits_vector(ordered, tokens.singles):
            distinct = dict.fromkeys(chain(ordered, tokens.singles))
            return cls(long_words=" ".join((scope, *distinct)))
        return cls(_vector_text(document.id, scope, ordered, tokens.singles))


def _vector_text(
    message_id: int, scope: str, ordered: Sequence[str], singles: Sequence[str]
) -> str:
    """The text form of a `tsvector` (PostgreSQL manual, 8.11.1)."""
    recency = (near_token(message_id), far_token(message_id))
    places = _places(ordered)
    bare = (scope, *recency, *(one for one in singles if one not in places))
    return " ".join((*bare, *(f"{token}:{','.join(at)}" for token, at in places.items())))


def _fits_vector(ordered: Sequence[str], singles: Sequence[str]) -> bool:
    if max(len(ordered), len(singles)) > MAX_PLACES:
        return False
    if len(ordered) <= MAX_REPEATS:
        return True
    if len(ordered) > MAX_BYTES // _MOST_BYTES:
        size = sum(len(token.encode()) for token in ordered)
        if size + _PLACE_BYTES * len(ordered) > MAX_BYTES:
            return False
    if len(ordered) - len(set(ordered)) < MAX_REPEATS:
        return True
    (_, most) = Counter(ordered).most_common(1)[0]
    return most <= MAX_REPEATS


@lru_cache(maxsize=4096)
def workspace_token(workspace: str) -> str:
    """The token of all messages of a workspace."""
    return _hashed("_w", workspace)


@lru_cache(maxsize=4096)
def user_token(workspace: str, user: str) -> str:
    """The token of all messages of one user of a workspace."""
    return _hashed("_u", workspace, user)


@lru_cache(maxsize=64)
def role_token(role: str) -> str:
    """The token of all messages of a role."""
    return _hashed("_r", role)


def near_token(message_id: int) -> str:
    """The token of a few thousand neighbours of a message."""
    return f"_n{message_id >> NEAR_BITS}"


def far_token(message_id: int) -> str:
    """The token of a hundred thousand neighbours of a message."""
    return f"_f{message_id >> FAR_BITS}"


def _hashed(kind: str, *names: str) -> str:
    """Names may hold anything; tokens hold letters and digits."""
    # A slash is in no label, so that two pairs of names never look the same.
    return kind + blake2b("/".join(names).encode(), digest_size=10).hexdigest()


@lru_cache(maxsize=4096)
def _scope_text(workspace: str, user: str, role: str) -> str:
    return f"{workspace_token(workspace)} {user_token(workspace, user)} {role_token(role)}"


def _hashed_tokens(tokens: Tokens, hasher: Hasher) -> Tokens:
    ordered = tokens.ordered
    hashed = {token: hasher(token) for token in {*ordered, *tokens.singles}}
    said = " ".join([hashed[token] for token in ordered])
    return Tokens(said, [hashed[token] for token in tokens.singles], tokens.is_too_rich)


def _places(ordered: Sequence[str]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for place, token in enumerate(ordered, 1):
        places.setdefault(token, []).append(str(place))
    return places

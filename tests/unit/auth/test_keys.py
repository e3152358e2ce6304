"""Keys: their form, their digest, and what is shown of them."""

import hashlib
import re

from officeai_proxy.auth.keys import digest, hint, new_key


def test_a_short_key_is_not_hinted_at():
    """Of a key that somebody chose, and could be guessed, nothing is shown."""
    assert hint("your-api-key") == "…"


def test_hint_shows_the_ends_only():
    """Of a key of ours the first eight and the last four characters are shown."""
    key = new_key()

    assert hint(key) == f"{key[:8]}…{key[-4:]}"
    assert key[8:-4] not in hint(key)


def test_new_keys_have_the_documented_form():
    """A key is `sk-oai-` and 43 URL-safe characters, which fit into a header."""
    assert re.fullmatch(r"sk-oai-[A-Za-z0-9_-]{43}", new_key())


def test_no_key_is_made_twice():
    """Keys are random."""
    assert len({new_key() for _ in range(200)}) == 200


def test_digest_is_sha256_of_text_and_of_bytes():
    """What is stored is the SHA-256, the same for a key as text and as header bytes."""
    assert digest("sk-a") == digest(b"sk-a") == hashlib.sha256(b"sk-a").digest()

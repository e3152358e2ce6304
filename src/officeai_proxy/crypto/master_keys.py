"""The keys of the configuration, by their ids: the first one seals, every one opens.

No key seals anything itself: each purpose has keys of its own that are derived from these.
"""

from collections.abc import Iterator, Mapping

from officeai_proxy.crypto.boxes import Box, derived


class MasterKeys:
    """One or several keys. Never shows them."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        """*secrets* are 32 bytes each, the one that seals first; there is at least one."""
        self._secrets = dict(secrets)
        self.first = next(iter(self._secrets))

    @classmethod
    def of(cls, secrets: Mapping[str, bytes]) -> "MasterKeys | None":
        """The keys, or None when there are none and nothing is sealed."""
        return cls(secrets) if secrets else None

    def __contains__(self, key_id: object) -> bool:
        """Whether there is a key of that id."""
        return key_id in self._secrets

    def __iter__(self) -> Iterator[str]:
        """The ids, the one that seals first."""
        return iter(self._secrets)

    def boxes(self, purpose: str) -> dict[str, Box]:
        """For each id the box for *purpose*."""
        return {key_id: Box(derived(secret, purpose)) for key_id, secret in self._secrets.items()}

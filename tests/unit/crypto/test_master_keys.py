"""The keys of the configuration."""

from officeai_proxy.crypto.master_keys import MasterKeys

ONE, TWO = b"1" * 32, b"2" * 32


def test_without_keys_there_is_nothing_to_seal_with() -> None:
    """No key is not an empty set of keys."""
    assert MasterKeys.of({}) is None


def test_the_first_one_seals_and_each_has_its_box() -> None:
    """The order counts, and a purpose has a box for each key."""
    keys = MasterKeys({"new": TWO, "old": ONE})

    assert keys.first == "new"
    assert list(keys) == ["new", "old"] == list(keys.boxes("values"))
    assert "old" in keys
    assert "other" not in keys


def test_no_key_is_shown() -> None:
    """Neither the object nor its parts print a key."""
    assert "1111" not in repr(MasterKeys({"k": ONE})) + str(
        vars(MasterKeys({"k": ONE}).boxes("x")["k"])
    )

"""What the page makes of texts of the program."""

from officeai_proxy.page.rendering import coded


def test_names_in_a_sentence_are_code() -> None:
    """What stands in backticks, and nothing of it is ever HTML."""
    assert coded("`a<b>` & a ` alone") == "<code>a&lt;b&gt;</code> &amp; a ` alone"

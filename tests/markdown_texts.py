"""Texts that Markdown could take for something else."""

from hypothesis import strategies as st

PIECES = st.sampled_from(
    [
        *("\n", "\n\n", " ", "   ", "\t", "\\", "\\\\", "`", "``", "```", "````", "~~~", "~~~~"),
        *(
            "**User**",
            "**User** (x)",
            "**Assistant**",
            r"\*\*User\*\*",
            "__User__",
            "# User",
            "User",
        ),
        *("&#42;", r"\&\#42;", "<b>", r"\<b>", "<b", ">", "</b>", "<!--", "<", "*", "_", "#", "&"),
        *(
            "---",
            "\n---\n\n",
            "# T\n_Exported on x from officeai-proxy_",
            "py",
            "a",
            "List<String>",
        ),
        r"\_Exported on x from officeai-proxy\_",
        "x" * 190,
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=60)


def as_lines(text: str) -> str:
    """*text* as far as Markdown can hold it: without empty lines around it, and with LF only."""
    return text.strip("\r\n").replace("\r\n", "\n").replace("\r", "\n")

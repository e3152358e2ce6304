"""Conversations as clients send them, and what must be stored of each: merging, case by case.

An exchange is the messages that were sent and the answers that came (several for `n` > 1, None when
the call failed, bytes when it failed in the middle). `path` is what a reader sees, oldest first;
`stored` counts the whole tree.
"""

from dataclasses import dataclass
from typing import Any

from tests.factories import assistant, reply_body, system, user

Message = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One story: its name says the rule."""

    name: str
    exchanges: list[tuple[list[Message], list[Message] | bytes | None]]
    path: list[str]
    stored: int


CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "time", "arguments": '{"city": "Bonn"}'},
}
CALL_RESENT = {**CALL, "function": {"name": "time", "arguments": '{"city":"Bonn"}'}}
ASKS_TOOL: Message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ASKS_TOOL_RESENT: Message = {"role": "assistant", "tool_calls": [CALL_RESENT], "refusal": None}
ASKS_TOOLS: Message = {
    "role": "assistant",
    "content": None,
    "tool_calls": [CALL, {**CALL, "id": "c2"}],
}
ASKS_THREE: Message = {
    "role": "assistant",
    "content": None,
    "tool_calls": [CALL, {**CALL, "id": "c2"}, {**CALL, "id": "c3"}],
}
ASKS_OTHER: Message = {"role": "assistant", "tool_calls": [{**CALL, "id": "c2"}]}
OTHER_SAYS: Message = {"role": "tool", "tool_call_id": "c2", "content": "rain"}
TOOL_SAYS: Message = {"role": "tool", "tool_call_id": "c1", "content": "noon"}

SAYS_AND_ASKS = ASKS_TOOL | {"content": "Let me see."}
SAYS_AND_ASKS_B: Message = {
    "role": "assistant",
    "content": "And there.",
    "tool_calls": [{**CALL, "id": "c2"}],
}
CLEARED: Message = {"role": "tool", "tool_call_id": "c1", "content": "[cleared]"}
ASKS_AGAIN: Message = {"role": "assistant", "tool_calls": [{**CALL, "id": "c3"}]}
SAYS_AGAIN: Message = {"role": "tool", "tool_call_id": "c3", "content": "night"}
CUT: Message = {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "time"}}]}
CUT_AGAIN: Message = {
    "role": "assistant",
    "tool_calls": [{**CALL, "id": "c3", "function": {"name": "time", "arguments": "{}"}}],
}
CLEARED_AGAIN = CLEARED | {"tool_call_id": "c3"}
A_BY_ANN = assistant("A") | {"name": "Ann"}


def half(text: str) -> bytes:
    """A reply that broke off behind *text*."""
    body = reply_body([assistant(f"{text} and more")])
    return body[: body.index(b" and more")]


CASES = [
    Case(
        "a retry after half an answer asks once, and its answer stands beside that half",
        [
            ([user("a")], half("A is")),
            ([user("a")], half("A")),
            ([user("a")], [assistant("A is 1")]),
        ],
        ["a", "A is 1"],
        4,
    ),
    Case(
        "a client without memory says something else after half an answer",
        [([user("a")], half("A is")), ([user("b")], [assistant("B")])],
        ["a", "A is", "b", "B"],
        4,
    ),
    Case(
        "a retry later in a conversation, from a client without memory",
        [
            ([user("a")], [assistant("A")]),
            ([user("b")], half("B is")),
            ([user("b")], [assistant("B is 2")]),
            ([user("c")], [assistant("C")]),
        ],
        ["a", "A", "b", "B is 2", "c", "C"],
        7,
    ),
    Case(
        "a retry with the whole history after half an answer",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], half("B is")),
            ([user("a"), assistant("A"), user("b")], [assistant("B is 2")]),
        ],
        ["a", "A", "b", "B is 2"],
        5,
    ),
    Case(
        "a client without memory appends",
        [([user("one")], [assistant("1")]), ([user("two")], [assistant("2")])],
        ["one", "1", "two", "2"],
        4,
    ),
    Case(
        "the same words again from a client without memory are a new message",
        [([user("more")], [assistant("1")]), ([user("more")], [assistant("2")])],
        ["more", "1", "more", "2"],
        4,
    ),
    Case(
        "the whole history is sent every turn",
        [
            ([system("s"), user("a")], [assistant("A")]),
            ([system("s"), user("a"), assistant("A"), user("b")], [assistant("B")]),
            (
                [system("s"), user("a"), assistant("A"), user("b"), assistant("B"), user("c")],
                [assistant("C")],
            ),
        ],
        ["s", "a", "A", "b", "B", "c", "C"],
        7,
    ),
    Case(
        "the same request again is a second answer beside the first",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B again")]),
        ],
        ["a", "A", "b", "B again"],
        5,
    ),
    Case(
        "an edited question is a branch, and the old one stays",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("a"), assistant("A"), user("b, shorter")], [assistant("b")]),
        ],
        ["a", "A", "b, shorter", "b"],
        6,
    ),
    Case(
        "a regenerated answer that failed leaves the path as it was",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("a"), assistant("A"), user("b")], None),
        ],
        ["a", "A", "b", "B"],
        4,
    ),
    Case(
        "back to the first branch after a second",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("a"), assistant("A"), user("x")], [assistant("X")]),
            ([user("a"), assistant("A"), user("b"), assistant("B"), user("c")], [assistant("C")]),
        ],
        ["a", "A", "b", "B", "c", "C"],
        8,
    ),
    Case(
        "a window that drops the oldest messages",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([assistant("A"), user("b"), assistant("B"), user("c")], [assistant("C")]),
            ([assistant("B"), user("c"), assistant("C"), user("d")], [assistant("D")]),
        ],
        ["a", "A", "b", "B", "c", "C", "d", "D"],
        8,
    ),
    Case(
        "a window of one answer and one question",
        [
            ([user("a")], [assistant("A")]),
            ([assistant("A"), user("b")], [assistant("B")]),
            ([assistant("B"), user("c")], [assistant("C")]),
        ],
        ["a", "A", "b", "B", "c", "C"],
        6,
    ),
    Case(
        "instructions that change every turn are stored where they changed",
        [
            ([system("Monday"), user("a")], [assistant("A")]),
            ([system("Tuesday"), user("a"), assistant("A"), user("b")], [assistant("B")]),
        ],
        ["Monday", "a", "A", "Tuesday", "b", "B"],
        6,
    ),
    Case(
        "two instructions that stay are stored once",
        [
            ([system("s"), {"role": "developer", "content": "d"}, user("a")], [assistant("A")]),
            (
                [
                    system("s"),
                    {"role": "developer", "content": "d"},
                    user("a"),
                    assistant("A"),
                    user("b"),
                ],
                [assistant("B")],
            ),
        ],
        ["s", "d", "a", "A", "b", "B"],
        6,
    ),
    Case(
        "instructions of a client without memory are stored once",
        [
            ([system("s"), user("a")], [assistant("A")]),
            ([system("s"), user("b")], [assistant("B")]),
            ([system("t"), user("c")], [assistant("C")]),
        ],
        ["s", "a", "A", "b", "B", "t", "c", "C"],
        8,
    ),
    Case(
        "tool calls and their results, resent in another spelling",
        [
            ([user("time?")], [ASKS_TOOL]),
            ([user("time?"), ASKS_TOOL_RESENT, TOOL_SAYS], [assistant("noon")]),
            (
                [user("time?"), ASKS_TOOL_RESENT, TOOL_SAYS, assistant("noon"), user("thanks")],
                [assistant("welcome")],
            ),
        ],
        ["time?", "", "noon", "noon", "thanks", "welcome"],
        6,
    ),
    Case(
        "answers to which a client gives the name of its agent are the model's",
        [
            ([user("a")], [ASKS_TOOL]),
            ([user("a"), ASKS_TOOL | {"name": "Ann"}, TOOL_SAYS], [assistant("A")]),
            (
                [user("a"), ASKS_TOOL | {"name": "Ann"}, TOOL_SAYS, A_BY_ANN, user("b")],
                [assistant("B")],
            ),
            ([A_BY_ANN, user("b"), assistant("B") | {"name": "Bob"}, user("c")], [assistant("C")]),
        ],
        ["a", "", "noon", "A", "b", "B", "c", "C"],
        8,
    ),
    Case(
        "an answer that came with its name first, and answers whose names the client gives",
        [
            ([user("a"), A_BY_ANN, user("b")], [assistant("B")]),
            (
                [user("a"), A_BY_ANN, user("b"), assistant("B") | {"name": "Bob"}, user("c")],
                [assistant("C")],
            ),
        ],
        ["a", "A", "b", "B", "c", "C"],
        6,
    ),
    Case(
        "answers of tools that the client cuts short later stay, with the short ones beside",
        [
            ([user("a")], [ASKS_TOOLS]),
            ([user("a"), ASKS_TOOLS, TOOL_SAYS, OTHER_SAYS], [assistant("A")]),
            (
                [user("a"), ASKS_TOOLS, CLEARED, OTHER_SAYS, assistant("A"), user("b")],
                [ASKS_AGAIN],
            ),
            (
                [
                    user("a"),
                    ASKS_TOOLS,
                    CLEARED,
                    CLEARED | {"tool_call_id": "c2"},
                    assistant("A"),
                    user("b"),
                    ASKS_AGAIN,
                    SAYS_AGAIN,
                ],
                [assistant("B")],
            ),
        ],
        ["a", "", "noon", "rain", "A", "b", "", "night", "B"],
        11,
    ),
    Case(
        "calls of tools whose arguments the client cuts once they are old, and then their answers",
        [
            ([user("a")], [ASKS_TOOL]),
            ([user("a"), ASKS_TOOL, TOOL_SAYS], [ASKS_AGAIN]),
            ([user("a"), CUT, TOOL_SAYS, ASKS_AGAIN, SAYS_AGAIN], [assistant("A")]),
            ([user("a"), CUT, CLEARED, CUT_AGAIN, CLEARED_AGAIN, assistant("A"), user("b")], None),
            ([CUT_AGAIN, CLEARED_AGAIN, assistant("A"), user("b")], [assistant("B")]),
        ],
        ["a", "", "noon", "", "night", "A", "b", "B"],
        12,
    ),
    Case(
        "calls of tools of which the client leaves out some, with their answers, once they are old",
        [
            ([user("a")], [ASKS_TOOLS]),
            ([user("a"), ASKS_TOOLS, TOOL_SAYS, OTHER_SAYS], [ASKS_AGAIN]),
            ([user("a"), ASKS_OTHER, OTHER_SAYS, ASKS_AGAIN, SAYS_AGAIN], [assistant("A")]),
            (
                [
                    *(user("a"), ASKS_OTHER | {"content": "[time] was called", "refusal": None}),
                    *(OTHER_SAYS, ASKS_AGAIN, SAYS_AGAIN, assistant("A"), user("b")),
                ],
                [assistant("B")],
            ),
        ],
        ["a", "", "noon", "rain", "", "night", "A", "b", "B"],
        11,
    ),
    Case(
        "answers that are all the same, of calls whose ids begin anew each turn, cut when old",
        [
            ([user("a")], [ASKS_TOOL]),
            ([user("a"), ASKS_TOOL, TOOL_SAYS], [assistant("A")]),
            ([user("a"), ASKS_TOOL, TOOL_SAYS, assistant("A"), user("b")], [ASKS_TOOL]),
            (
                [
                    *(user("a"), ASKS_TOOL, CLEARED, assistant("A")),
                    *(user("b"), ASKS_TOOL, TOOL_SAYS),
                ],
                [assistant("B")],
            ),
            (
                [
                    *(user("a"), ASKS_TOOL, CLEARED, assistant("A")),
                    *(user("b"), ASKS_TOOL, CLEARED, assistant("B"), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        ["a", "", "noon", "A", "b", "", "noon", "B", "c", "C"],
        12,
    ),
    Case(
        "tools that answer one after the other, behind a call that failed and what precedes it",
        [
            ([user("a")], [ASKS_TOOLS]),
            ([user("now"), user("a"), ASKS_TOOLS, TOOL_SAYS], None),
            ([user("now"), user("a"), ASKS_TOOLS, TOOL_SAYS, OTHER_SAYS], [assistant("A")]),
        ],
        ["a", "", "noon", "now", "rain", "A"],
        6,
    ),
    Case(
        "a note that is left out later, with a call of tools behind it but for its text",
        [
            ([user("a"), user("note")], [ASKS_TOOL | {"content": "let me look"}]),
            (
                [user("a"), user("note"), ASKS_TOOL | {"content": "let me look"}, TOOL_SAYS],
                [assistant("A")],
            ),
            (
                [user("a"), assistant("let me look"), assistant("A"), user("b")],
                [assistant("B")],
            ),
        ],
        ["a", "note", "let me look", "noon", "A", "b", "B"],
        8,
    ),
    Case(
        "answers that tools gave to an earlier call, too, with the same ids, behind a summary",
        [
            ([user("a")], [ASKS_TOOLS]),
            ([user("a"), ASKS_TOOLS, TOOL_SAYS, OTHER_SAYS], [assistant("A")]),
            (
                [user("a"), ASKS_TOOLS, TOOL_SAYS, OTHER_SAYS, assistant("A"), user("b")],
                [ASKS_THREE],
            ),
            (
                [user("sum"), user("b"), ASKS_THREE, TOOL_SAYS, OTHER_SAYS, SAYS_AGAIN],
                [assistant("B")],
            ),
        ],
        ["a", "", "noon", "rain", "A", "b", "", "noon", "rain", "night", "sum", "B"],
        12,
    ),
    Case(
        "a call of tools that was made and answered before, with the same ids, behind a summary",
        [
            ([user("a")], [ASKS_TOOLS]),
            ([user("a"), ASKS_TOOLS, TOOL_SAYS, OTHER_SAYS], [assistant("A")]),
            (
                [user("a"), ASKS_TOOLS, TOOL_SAYS, OTHER_SAYS, assistant("A"), user("b")],
                [ASKS_TOOLS],
            ),
            (
                [user("sum"), user("b"), ASKS_TOOLS, TOOL_SAYS, OTHER_SAYS | {"content": "sun"}],
                [assistant("B")],
            ),
        ],
        ["a", "", "noon", "rain", "A", "b", "", "noon", "sun", "sum", "B"],
        11,
    ),
    Case(
        "questions that lose their documents once they are answered, but for the first",
        [
            ([system("s"), user("docs, a")], [assistant("A")]),
            ([system("s"), user("a"), assistant("A"), user("docs, b")], [assistant("B")]),
            (
                [
                    *(system("s2"), user("a"), assistant("A"), user("b"), assistant("B")),
                    user("docs, c"),
                ],
                [assistant("C")],
            ),
            (
                [
                    *(system("s2"), user("a"), assistant("A"), user("b"), assistant("B")),
                    *(user("c"), assistant("C"), user("docs, d")),
                ],
                [assistant("D")],
            ),
        ],
        ["s", "docs, a", "A", "a", "docs, b", "B", "s2", "docs, c", "C", "docs, d", "D"],
        13,
    ),
    Case(
        "an answer that is made again behind reworded questions stands beside the first",
        [
            ([user("docs, a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("docs, b")], [assistant("B")]),
            ([user("a"), assistant("A"), user("docs, b")], [assistant("B2")]),
            (
                [user("a"), assistant("A"), user("b"), assistant("B2"), user("docs, c")],
                [assistant("C")],
            ),
        ],
        ["docs, a", "A", "a", "docs, b", "B2", "docs, c", "C"],
        9,
    ),
    Case(
        "questions that lose their documents, and of which a window is sent",
        [
            ([user("docs, a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("docs, b")], [assistant("B")]),
            (
                [user("a"), assistant("A"), user("b"), assistant("B"), user("docs, c")],
                [assistant("C")],
            ),
            (
                [user("b"), assistant("B"), user("c"), assistant("C"), user("docs, d")],
                [assistant("D")],
            ),
            (
                [user("c"), assistant("C"), user("d"), assistant("D"), user("docs, e")],
                [assistant("E")],
            ),
        ],
        ["docs, a", "A", "a", "docs, b", "B", "docs, c", "C", "docs, d", "D", "docs, e", "E"],
        14,
    ),
    Case(
        "questions that lose their documents, and one that is asked twice with the same",
        [
            ([user("docs, a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("docs, go on")], [assistant("1")]),
            (
                [user("a"), assistant("A"), user("go on"), assistant("1"), user("docs, go on")],
                [assistant("2")],
            ),
        ],
        ["docs, a", "A", "a", "docs, go on", "1", "docs, go on", "2"],
        8,
    ),
    Case(
        "questions that lose their documents, in a window that has the first one's words again",
        [
            ([user("docs, a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("docs, b")], [assistant("B")]),
            (
                [user("a"), assistant("A"), user("b"), assistant("B"), user("docs, c")],
                [assistant("C")],
            ),
            (
                [user("b"), assistant("B"), user("c"), assistant("C"), user("docs, a")],
                [assistant("D")],
            ),
            (
                [user("c"), assistant("C"), user("a"), assistant("D"), user("docs, e")],
                [assistant("E")],
            ),
        ],
        ["docs, a", "A", "a", "docs, b", "B", "docs, c", "C", "docs, a", "D", "docs, e", "E"],
        13,
    ),
    Case(
        "questions that lose their documents, with the same words said and answered again",
        [
            ([user("docs, a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("docs, yes")], [assistant("ok")]),
            (
                [user("a"), assistant("A"), user("yes"), assistant("ok"), user("docs, b")],
                [assistant("ok")],
            ),
            (
                [
                    *(user("a"), assistant("A"), user("yes"), assistant("ok")),
                    *(user("b"), assistant("ok"), user("docs, yes")),
                ],
                [assistant("ok")],
            ),
            *(
                (
                    [
                        *(user("a"), assistant("A"), user("yes"), assistant("ok")),
                        *(user("b"), assistant("ok"), user("yes"), assistant("ok")),
                        user("docs, c"),
                    ],
                    [assistant(answer)],
                )
                for answer in ("C", "C2")
            ),
            (
                [
                    *(user("a"), assistant("A"), user("yes"), assistant("ok")),
                    *(user("b"), assistant("ok"), user("yes"), assistant("ok")),
                    *(user("c"), assistant("C2"), user("docs, yes")),
                ],
                [assistant("D")],
            ),
        ],
        [
            *("docs, a", "A", "a", "docs, yes", "ok", "docs, b", "ok"),
            *("yes", "ok", "docs, c", "C2", "docs, yes", "D"),
        ],
        20,
    ),
    Case(
        "a note that changes, and stands in another question of the history each time",
        [
            ([user("1, a")], [assistant("A")]),
            ([user("a, 2"), assistant("A"), user("b")], [assistant("B")]),
            (
                [user("a, 3"), assistant("A"), user("b"), assistant("B"), user("c")],
                [assistant("C")],
            ),
            (
                [
                    *(user("a"), assistant("A"), user("b, 4"), assistant("B")),
                    *(user("c"), assistant("C"), user("d")),
                ],
                [assistant("D")],
            ),
        ],
        ["1, a", "A", "a, 2", "b", "B", "c", "C", "d", "D"],
        12,
    ),
    Case(
        "a note that stands in the last question but one, or behind the answers of tools",
        [
            ([user("note, a")], [assistant("A")]),
            ([user("a, note"), assistant("A"), user("b")], [ASKS_TOOL]),
            ([user("a"), assistant("A"), user("b, note"), ASKS_TOOL, TOOL_SAYS], [assistant("B")]),
            (
                [
                    *(user("a"), assistant("A"), user("b"), ASKS_TOOL, TOOL_SAYS),
                    *(user("note"), assistant("B"), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        ["note, a", "A", "a, note", "b", "", "noon", "B", "note", "c", "C"],
        12,
    ),
    Case(
        "answers that lose a part of them once they are old, but for the first",
        [
            ([user("a")], [assistant("A, hp 1")]),
            ([user("a"), assistant("A, hp 1"), user("b")], [assistant("B, hp 2")]),
            (
                [user("a"), assistant("A"), user("b"), assistant("B, hp 2"), user("c")],
                [assistant("C, hp 3")],
            ),
            (
                [
                    *(user("a"), assistant("A"), user("b"), assistant("B")),
                    *(user("c"), assistant("C, hp 3"), user("d")),
                ],
                [assistant("D, hp 4")],
            ),
        ],
        ["a", "A, hp 1", "b", "B, hp 2", "A", "c", "C, hp 3", "d", "D, hp 4"],
        10,
    ),
    Case(
        "answers that lose a part of them once they are old, and of which a window is sent",
        [
            ([user("a")], [assistant("A, hp 1")]),
            ([user("a"), assistant("A, hp 1"), user("b")], [assistant("B, hp 2")]),
            (
                [user("a"), assistant("A"), user("b"), assistant("B, hp 2"), user("c")],
                [assistant("C, hp 3")],
            ),
            (
                [
                    *(user("a"), assistant("A"), user("b"), assistant("B")),
                    *(user("c"), assistant("C, hp 3"), user("d")),
                ],
                [assistant("D, hp 4")],
            ),
            (
                [
                    *(user("b"), assistant("B"), user("c"), assistant("C")),
                    *(user("d"), assistant("D, hp 4"), user("e")),
                ],
                [assistant("E, hp 5")],
            ),
            (
                [
                    *(assistant("C"), user("d"), assistant("D")),
                    *(user("e"), assistant("E, hp 5"), user("f")),
                ],
                [assistant("F, hp 6")],
            ),
        ],
        [
            *("a", "A, hp 1", "b", "B, hp 2", "A", "c", "C, hp 3"),
            *("d", "D, hp 4", "e", "E, hp 5", "f", "F, hp 6"),
        ],
        16,
    ),
    Case(
        "an answer that loses a part of it once it is the first of a window",
        [
            ([user("a")], [assistant("A, hp 1")]),
            ([user("a"), assistant("A, hp 1"), user("b")], [assistant("B, hp 2")]),
            (
                [
                    *(user("a"), assistant("A, hp 1"), user("b"), assistant("B, hp 2")),
                    user("c"),
                ],
                [assistant("C, hp 3")],
            ),
            (
                [user("b"), assistant("B"), user("c"), assistant("C, hp 3"), user("d")],
                [assistant("D, hp 4")],
            ),
        ],
        ["a", "A, hp 1", "b", "B, hp 2", "c", "C, hp 3", "d", "D, hp 4"],
        9,
    ),
    Case(
        "an answer that is put right long after it stands beside the first wording",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("a"), assistant("A"), user("b"), assistant("B"), user("c")], [assistant("C")]),
            (
                [
                    *(user("a"), assistant("A"), user("b"), assistant("B")),
                    *(user("c"), assistant("C"), user("d")),
                ],
                [assistant("D")],
            ),
            (
                [
                    *(user("a"), assistant("A"), user("b"), assistant("B!")),
                    *(user("c"), assistant("C"), user("d"), assistant("D"), user("e")),
                ],
                [assistant("E")],
            ),
        ],
        ["a", "A", "b", "B", "c", "C", "d", "D", "e", "E"],
        11,
    ),
    Case(
        "a first question that is edited long after its answer",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("a!"), assistant("A"), user("b"), assistant("B"), user("c")], [assistant("C")]),
            ([user("a!"), assistant("A"), user("b"), assistant("B"), user("c")], [assistant("C2")]),
        ],
        ["a", "A", "b", "B", "c", "C2"],
        8,
    ),
    Case(
        "a summary before a window is no question in other words",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("a, in short"), assistant("B"), user("c")], [assistant("C")]),
        ],
        ["a", "A", "b", "B", "a, in short", "c", "C"],
        7,
    ),
    Case(
        "an answer of a tool that is told once another agent has spoken, from a summary",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [ASKS_TOOL]),
            ([system("t"), assistant("In short: a, b.")], [assistant("B")]),
            (
                [
                    *(system("t"), user("a"), assistant("A"), user("b"), ASKS_TOOL, TOOL_SAYS),
                    *(assistant("B"), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        ["a", "A", "b", "", "noon", "t", "B", "c", "C"],
        12,
    ),
    Case(
        "other words of a tool at the end of a history are a branch, and the old ones stay",
        [
            ([user("a")], [ASKS_TOOL]),
            ([user("a"), ASKS_TOOL, TOOL_SAYS], [assistant("A")]),
            ([user("a"), ASKS_TOOL, CLEARED], [assistant("B")]),
        ],
        ["a", "", "[cleared]", "B"],
        6,
    ),
    Case(
        "what clients add, drop and trim does not matter",
        [
            ([user("a")], [assistant("two lines\n")]),
            (
                [
                    {"role": "user", "content": [{"type": "text", "text": "a"}]},
                    {"role": "assistant", "content": "two lines", "annotations": [], "audio": None},
                    user("b"),
                ],
                [assistant("B")],
            ),
        ],
        ["a", "two lines\n", "b", "B"],
        4,
    ),
    Case(
        "a retry after a failure",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], None),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
        ],
        ["a", "A", "b", "B"],
        4,
    ),
    Case(
        "retries of a client without memory",
        [([user("a")], None), ([user("a")], None), ([user("a")], [assistant("A")])],
        ["a", "A"],
        2,
    ),
    Case(
        "another question after a failure",
        [([user("a")], None), ([user("b")], [assistant("B")])],
        ["a", "b", "B"],
        3,
    ),
    Case(
        "recording begins in the middle of a conversation",
        [([system("s"), user("a"), assistant("A"), user("b")], [assistant("B")])],
        ["s", "a", "A", "b", "B"],
        5,
    ),
    Case(
        "equal neighbours in a whole history do not collapse",
        [
            ([user("go")], [assistant("1")]),
            ([user("go"), assistant("1"), user("go")], [assistant("1")]),
            (
                [user("go"), assistant("1"), user("go"), assistant("1"), user("go")],
                [assistant("1")],
            ),
        ],
        ["go", "1", "go", "1", "go", "1"],
        6,
    ),
    Case(
        "of two choices the client goes on with the second",
        [
            ([user("a")], [assistant("A1"), assistant("A2")]),
            ([user("a"), assistant("A2"), user("b")], [assistant("B")]),
        ],
        ["a", "A2", "b", "B"],
        5,
    ),
    Case(
        "of two choices the first is read as long as nothing follows",
        [([user("a")], [assistant("A1"), assistant("A2")])],
        ["a", "A1"],
        3,
    ),
    Case(
        "a summary takes the place of the past",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("In short: a, b."), user("c")], [assistant("C")]),
        ],
        ["a", "A", "b", "B", "In short: a, b.", "c", "C"],
        7,
    ),
    Case(
        "a summary, the last answer and a new question",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("In short: a."), assistant("B"), user("c")], [assistant("C")]),
        ],
        ["a", "A", "b", "B", "In short: a.", "c", "C"],
        7,
    ),
    Case(
        "words said long ago and said again after a summary are new",
        [
            ([user("continue")], [assistant("1")]),
            ([user("continue"), assistant("1"), user("and?")], [assistant("2")]),
            ([user("In short: 1, 2."), user("continue")], [assistant("3")]),
        ],
        ["continue", "1", "and?", "2", "In short: 1, 2.", "continue", "3"],
        7,
    ),
    Case(
        "what changes before the history is stored where it changed, and the history once",
        [
            ([user("9:00"), user("a")], [assistant("A")]),
            ([user("9:01"), user("a"), assistant("A"), user("b")], [assistant("B")]),
            (
                [user("9:02"), user("a"), assistant("A"), user("b"), assistant("B"), user("c")],
                [assistant("C")],
            ),
        ],
        ["9:00", "a", "A", "9:01", "b", "B", "9:02", "c", "C"],
        9,
    ),
    Case(
        "a regenerated answer behind something that changes",
        [
            ([user("9:00"), user("a")], [assistant("A")]),
            ([user("9:01"), user("a"), assistant("A"), user("b")], [assistant("B")]),
            (
                [user("9:02"), user("a"), assistant("A"), user("b, shorter")],
                [assistant("b")],
            ),
        ],
        ["9:00", "a", "A", "9:02", "b, shorter", "b"],
        9,
    ),
    Case(
        "an answer made again behind a first message that stays and a window",
        [
            ([user("task"), user("a")], [assistant("A")]),
            ([user("task"), user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("task"), user("b"), assistant("B"), user("c")], [assistant("C1")]),
            ([user("task"), user("b"), assistant("B"), user("c")], [assistant("C2")]),
            ([user("task"), user("b"), assistant("B"), user("c")], [assistant("C3")]),
        ],
        ["task", "a", "A", "b", "B", "c", "C3"],
        9,
    ),
    Case(
        "an answer made again behind a summary, where the same few words are said again and again",
        [
            ([user("yes")], [assistant("ok")]),
            ([user("yes"), assistant("ok"), user("no")], [assistant("ok")]),
            (
                [user("yes"), assistant("ok"), user("no"), assistant("ok"), user("go on")],
                [assistant("1")],
            ),
            (
                [
                    *(user("sum"), user("no"), assistant("ok")),
                    *(user("go on"), assistant("1"), user("yes")),
                ],
                [assistant("ok")],
            ),
            *[
                (
                    [
                        *(user("sum"), user("no"), assistant("ok"), user("go on"), assistant("1")),
                        *(user("yes"), assistant("ok"), user("go on")),
                    ],
                    [assistant(again)],
                )
                for again in ("2", "3")
            ],
        ],
        ["yes", "ok", "no", "ok", "go on", "1", "sum", "yes", "ok", "go on", "3"],
        12,
    ),
    Case(
        "an answer made again behind a summary, and again once the instructions have changed",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([system("1"), user("sum"), assistant("B"), user("c")], [assistant("C1")]),
            ([system("1"), user("sum"), assistant("B"), user("c")], [assistant("C2")]),
            ([system("2"), user("sum"), assistant("B"), user("c")], [assistant("C3")]),
            ([system("2"), user("sum"), assistant("B"), user("c")], [assistant("C4")]),
        ],
        ["a", "A", "b", "B", "1", "sum", "c", "2", "C4"],
        12,
    ),
    Case(
        "an answer made again to a question with instructions behind it",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b"), system("s")], [assistant("B1")]),
            ([user("a"), assistant("A"), user("b"), system("s")], [assistant("B2")]),
        ],
        ["a", "A", "b", "s", "B2"],
        6,
    ),
    Case(
        "an answer made again behind a summary in the assistant's name that is the newest message",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            (
                [user("a"), assistant("A"), user("b"), assistant("B"), user("sum up")],
                [assistant("In short")],
            ),
            ([assistant("In short"), user("a"), assistant("A"), user("b")], [assistant("C")]),
        ],
        ["a", "A", "In short", "b", "C"],
        9,
    ),
    Case(
        "an answer made again to tools, behind a summary in the assistant's name",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [ASKS_TOOL]),
            ([user("a"), assistant("sum"), user("b"), ASKS_TOOL, TOOL_SAYS], [assistant("B1")]),
            ([user("a"), assistant("sum"), user("b"), ASKS_TOOL, TOOL_SAYS], [assistant("B2")]),
        ],
        ["a", "A", "b", "", "noon", "sum", "B2"],
        8,
    ),
    Case(
        "an answer made again to tools whose call follows a summary in the assistant's name",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [ASKS_TOOL]),
            ([user("a"), assistant("sum"), ASKS_TOOL, TOOL_SAYS], [assistant("B1")]),
            ([user("a"), assistant("sum"), ASKS_TOOL, TOOL_SAYS], [assistant("B2")]),
        ],
        ["a", "A", "b", "", "noon", "sum", "B2"],
        8,
    ),
    Case(
        "an answer that is gone on with behind a first message that stays and a window",
        [
            ([user("task"), user("a")], [assistant("A")]),
            ([user("task"), user("a"), assistant("A"), user("b")], [assistant("B is")]),
            ([user("task"), user("b"), assistant("B is"), system("continue")], [assistant("2")]),
        ],
        ["task", "a", "A", "b", "B is", "continue", "2"],
        7,
    ),
    Case(
        "an answer that a client begins in the same words each time, behind another text",
        [
            ([user("1"), user("go"), assistant("{")], [assistant("A")]),
            ([user("2"), user("go"), assistant("{")], [assistant("B")]),
        ],
        ["1", "go", "{", "A", "2", "go", "{", "B"],
        8,
    ),
    Case(
        "such an answer to the same question, with the whole history",
        [
            ([user("go"), assistant("{")], [assistant("A")]),
            ([user("go"), assistant("{A"), user("go"), assistant("{")], [assistant("B")]),
        ],
        ["go", "{A", "go", "{", "B"],
        7,
    ),
    Case(
        "a summary that is asked for between the turns, and stands before the history then",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("a"), assistant("A"), system("sum up")], [assistant("1")]),
            ([assistant("1"), user("b"), assistant("B"), user("c")], [assistant("C")]),
            ([assistant("1"), user("b"), assistant("B"), system("sum up")], [assistant("2")]),
            ([assistant("2"), user("c"), assistant("C"), user("d")], [assistant("D")]),
        ],
        ["a", "A", "b", "B", "1", "c", "C", "2", "d", "D"],
        14,
    ),
    Case(
        "a summary that is asked for without the calls of tools",
        [
            ([user("a")], [ASKS_TOOL]),
            ([user("a"), ASKS_TOOL, TOOL_SAYS], [assistant("A")]),
            ([user("a"), ASKS_TOOL, TOOL_SAYS, assistant("A"), user("b")], [assistant("B")]),
            ([user("a"), assistant("A"), system("sum up")], [assistant("1")]),
            ([assistant("1"), user("b"), assistant("B"), user("c")], [assistant("C")]),
        ],
        ["a", "", "noon", "A", "b", "B", "1", "c", "C"],
        11,
    ),
    Case(
        "an edit before what a summary in the assistant's name stands behind",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("a"), assistant("A"), user("b"), assistant("B"), user("c")], [assistant("C")]),
            (
                [assistant("sum"), user("b"), assistant("B"), user("c"), assistant("C"), user("d")],
                [assistant("D")],
            ),
            ([assistant("sum"), user("b"), assistant("B"), user("c2")], [assistant("C2")]),
        ],
        ["a", "A", "b", "B", "sum", "c2", "C2"],
        12,
    ),
    Case(
        "a summary that is asked for before the answers of tools are told, in the same session",
        [
            ([user("a")], [ASKS_TOOL]),
            ([user("a"), ASKS_TOOL, TOOL_SAYS], [ASKS_AGAIN]),
            ([system("sum up"), user("a, time, noon")], [assistant("sum")]),
            ([assistant("sum"), ASKS_TOOL, TOOL_SAYS, ASKS_AGAIN, SAYS_AGAIN], [assistant("A")]),
            (
                [
                    *(assistant("sum"), ASKS_TOOL, TOOL_SAYS, ASKS_AGAIN, SAYS_AGAIN),
                    *(assistant("A"), user("b")),
                ],
                [assistant("B")],
            ),
        ],
        ["a", "", "noon", "", "night", "sum", "A", "b", "B"],
        12,
    ),
    Case(
        "summaries before the last answer, with a note and its answer behind it, each time",
        [
            ([user("a")], [assistant("A")]),
            (
                [user("sum"), assistant("A"), user("note"), assistant("Read."), user("b")],
                [assistant("B")],
            ),
            (
                [
                    *(user("sum"), assistant("A"), user("note"), assistant("Read.")),
                    *(user("b"), assistant("B"), user("sum up")),
                ],
                [assistant("In short")],
            ),
            (
                [user("sum 2"), assistant("B"), user("note"), assistant("Read."), user("c")],
                [assistant("C")],
            ),
            (
                [
                    *(user("sum 2"), assistant("B"), user("note"), assistant("Read.")),
                    *(user("c"), user("sum up")),
                ],
                [assistant("In short again")],
            ),
            (
                [user("sum 3"), assistant("C"), user("note"), assistant("Read."), user("b")],
                [assistant("D")],
            ),
            (
                [user("sum 4"), assistant("D"), user("note"), assistant("Read."), user("b")],
                [assistant("E")],
            ),
        ],
        [
            *("a", "A", "sum", "note", "Read.", "b", "B", "sum 2", "c", "C"),
            *("sum 3", "b", "D", "sum 4", "b", "E"),
        ],
        20,
    ),
    Case(
        "a summary in the assistant's name that changes behind examples that stay",
        [
            ([user("x"), assistant("X"), user("a")], [assistant("A")]),
            ([user("x"), assistant("X"), user("a"), assistant("A"), user("b")], [ASKS_TOOL]),
            (
                [user("x"), assistant("X"), assistant("1"), user("b"), ASKS_TOOL, TOOL_SAYS],
                [assistant("B")],
            ),
            (
                [
                    *(user("x"), assistant("X"), assistant("2")),
                    *(user("b"), ASKS_TOOL, TOOL_SAYS, assistant("B"), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        ["x", "X", "a", "A", "b", "", "noon", "1", "B", "2", "c", "C"],
        12,
    ),
    Case(
        "a summary in the assistant's name that changes behind a first message that stays",
        [
            ([user("9:00"), user("a")], [assistant("A")]),
            ([user("9:00"), user("a"), assistant("A"), user("b")], [ASKS_TOOL]),
            (
                [user("9:00"), user("a"), assistant("1"), user("b"), ASKS_TOOL, TOOL_SAYS],
                [assistant("B")],
            ),
            (
                [
                    *(user("9:00"), user("a"), assistant("2")),
                    *(user("b"), ASKS_TOOL, TOOL_SAYS, assistant("B"), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        ["9:00", "a", "A", "b", "", "noon", "1", "B", "2", "c", "C"],
        11,
    ),
    Case(
        "a first message that stays, and a window",
        [
            ([user("task"), user("a")], [assistant("A")]),
            ([user("task"), user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("task"), user("b"), assistant("B"), user("c")], [assistant("C")]),
            ([user("task"), user("c"), assistant("C"), user("d")], [assistant("D")]),
        ],
        ["task", "a", "A", "b", "B", "c", "C", "d", "D"],
        9,
    ),
    Case(
        "files and their answer, which a client puts behind the history each time",
        [
            ([user("files"), assistant("Seen."), user("a")], [assistant("A")]),
            (
                [user("a"), assistant("A"), user("files"), assistant("Seen."), user("b")],
                [assistant("B")],
            ),
            (
                [
                    *(user("a"), assistant("A"), user("b"), assistant("B")),
                    *(user("new files"), assistant("Seen."), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        ["files", "Seen.", "a", "A", "b", "B", "new files", "Seen.", "c", "C"],
        10,
    ),
    Case(
        "a question that was asked and answered again, while nobody recorded, is there twice",
        [
            ([user("9:00"), user("a")], [assistant("A")]),
            ([user("9:01"), user("a"), assistant("A"), user("b")], [assistant("B")]),
            (
                [
                    *(user("9:02"), user("a"), assistant("A"), user("b"), assistant("B")),
                    *(user("a"), assistant("A"), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        ["9:00", "a", "A", "9:01", "b", "B", "9:02", "a", "A", "c", "C"],
        11,
    ),
    Case(
        "a note that always stands before the last answer",
        [
            ([user("a")], [assistant("A")]),
            ([user("note"), assistant("A"), user("b")], [assistant("B")]),
            (
                [user("a"), assistant("A"), user("b"), user("note"), assistant("B"), user("c")],
                [assistant("C")],
            ),
            (
                [
                    *(user("a"), assistant("A"), user("b"), assistant("B"), user("c")),
                    *(user("note"), assistant("C"), user("d")),
                ],
                [assistant("D")],
            ),
        ],
        ["a", "A", "note", "b", "B", "c", "C", "d", "D"],
        9,
    ),
    Case(
        "a note in the assistant's name that changes and always stands before the last answer",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("1"), assistant("A"), user("b")], [ASKS_TOOL]),
            (
                [user("a"), assistant("A"), user("b"), assistant("2"), ASKS_TOOL, TOOL_SAYS],
                [assistant("B")],
            ),
            (
                [
                    *(user("a"), assistant("A"), user("b"), ASKS_TOOL, TOOL_SAYS),
                    *(assistant("3"), assistant("B"), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        ["a", "A", "1", "b", "", "noon", "2", "B", "3", "c", "C"],
        11,
    ),
    Case(
        "a client that keeps none of the answers, and asks for one of them again",
        [
            ([system("s"), user("a")], [assistant("A")]),
            ([system("s"), user("a"), user("b")], [assistant("B")]),
            ([system("s"), user("a"), user("b")], [assistant("B2")]),
            ([system("s"), user("a"), user("b"), user("b")], None),
            ([system("s"), user("a"), user("b"), user("b")], [assistant("C")]),
            ([system("s"), user("a"), user("b"), user("b"), user("d")], [assistant("D")]),
        ],
        ["s", "a", "A", "b", "B2", "b", "C", "d", "D"],
        10,
    ),
    Case(
        "two questions behind instructions that were sent alone and got no answer",
        [
            ([system("s")], None),
            ([system("s"), user("a"), user("b")], [assistant("A")]),
        ],
        ["s", "a", "b", "A"],
        4,
    ),
    Case(
        "the last few questions without their answers",
        [
            ([user("a"), user("b")], [assistant("B")]),
            ([user("b"), user("c")], half("C is")),
            ([user("b"), user("c")], [assistant("C")]),
            ([user("c"), user("d")], [assistant("D")]),
        ],
        ["a", "b", "B", "c", "C", "d", "D"],
        8,
    ),
    Case(
        "a first message that stays, behind which only the new question has room",
        [
            ([user("task")], [assistant("A")]),
            ([user("task"), assistant("A"), user("b")], [ASKS_TOOL]),
            ([user("task"), user("b"), ASKS_TOOL, TOOL_SAYS], [assistant("B")]),
            ([user("task"), user("c")], None),
            ([user("task"), user("c")], half("C is")),
            ([user("task"), user("c")], [assistant("C")]),
            ([user("task"), user("note"), user("d")], [assistant("D")]),
        ],
        ["task", "A", "b", "", "noon", "B", "c", "C", "note", "d", "D"],
        12,
    ),
    Case(
        "an old answer of a tool that is cut short where another one of the same call is left out",
        [
            ([user("a")], [ASKS_TOOLS]),
            ([user("a"), ASKS_TOOLS, TOOL_SAYS, OTHER_SAYS], [assistant("A")]),
            (
                [user("a"), ASKS_TOOLS, TOOL_SAYS, OTHER_SAYS, assistant("A"), user("b")],
                [assistant("B")],
            ),
            (
                [
                    *(user("a"), ASKS_TOOLS, CLEARED, assistant("A")),
                    *(user("b"), assistant("B"), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        ["a", "", "noon", "rain", "A", "b", "B", "c", "C"],
        10,
    ),
    Case(
        "a summary and a first question that has lost its documents",
        [
            ([user("doc a")], [ASKS_TOOL]),
            ([user("doc a"), ASKS_TOOL, TOOL_SAYS], [assistant("A")]),
            (
                [user("a"), ASKS_TOOL, TOOL_SAYS, assistant("A"), user("doc b")],
                [assistant("B")],
            ),
            ([user("a"), user("sum"), user("doc c")], [assistant("C")]),
        ],
        ["doc a", "", "noon", "A", "doc b", "B", "sum", "doc c", "C"],
        10,
    ),
    Case(
        "all that was asked between a note and a summary, each time that the past is summed up",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("asked:"), user("a"), user("b"), user("sum")], None),
            ([user("asked:"), user("a"), user("b"), user("sum")], [ASKS_TOOL]),
            (
                [user("asked:"), user("a"), user("b"), user("sum"), ASKS_TOOL, TOOL_SAYS],
                [assistant("C")],
            ),
            (
                [
                    *(user("asked:"), user("a"), user("b"), user("sum"), ASKS_TOOL, TOOL_SAYS),
                    *(assistant("C"), user("c")),
                ],
                [assistant("D")],
            ),
            (
                [user("asked:"), user("a"), user("b"), user("c"), user("sum 2")],
                [assistant("E")],
            ),
        ],
        ["a", "A", "b", "B", "asked:", "sum", "", "noon", "C", "c", "D", "sum 2", "E"],
        13,
    ),
    Case(
        "the same words again after an answer that was stopped, of which the client kept less",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("go on")], half("B is 2")),
            (
                [user("a"), assistant("A"), user("go on"), assistant("B is"), user("go on")],
                [assistant("C")],
            ),
            (
                [user("go on"), assistant("B is"), user("go on"), assistant("C"), user("go on")],
                None,
            ),
        ],
        ["a", "A", "go on", "B is", "go on", "C", "go on"],
        8,
    ),
    Case(
        "a question that the client has deleted from the middle stays",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            (
                [user("a"), assistant("A"), user("b"), assistant("B"), user("c")],
                [assistant("C")],
            ),
            ([user("a"), assistant("A"), user("c"), assistant("C"), user("d")], [assistant("D")]),
        ],
        ["a", "A", "b", "B", "c", "C", "d", "D"],
        8,
    ),
    Case(
        "an edit behind words that were said twice belongs to the first of them",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("more")], [assistant("ok")]),
            (
                [user("a"), assistant("A"), user("more"), assistant("ok"), user("more")],
                [assistant("ok")],
            ),
            (
                [user("a"), assistant("A"), user("more"), assistant("ok"), user("less")],
                [assistant("fine")],
            ),
        ],
        ["a", "A", "more", "ok", "less", "fine"],
        8,
    ),
    Case(
        "the same words twice behind the history, with no answer between, are said twice",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("hello?"), user("b")], [assistant("B")]),
            (
                [
                    *(user("a"), assistant("A"), user("hello?"), user("b"), assistant("B")),
                    *(user("hello?"), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        ["a", "A", "hello?", "b", "B", "hello?", "c", "C"],
        8,
    ),
    Case(
        "instructions that change while tools are called stand behind the tools' answers",
        [
            ([system("s"), user("time?")], [ASKS_TOOL]),
            ([system("t"), user("time?"), ASKS_TOOL_RESENT, TOOL_SAYS], [assistant("noon")]),
        ],
        ["s", "time?", "", "noon", "t", "noon"],
        6,
    ),
    Case(
        "what changes before the history stands behind the tools' answers",
        [
            ([user("9:00"), user("time?")], [ASKS_TOOL]),
            ([user("9:01"), user("time?"), ASKS_TOOL_RESENT, TOOL_SAYS], [assistant("noon")]),
        ],
        ["9:00", "time?", "", "noon", "9:01", "noon"],
        6,
    ),
    Case(
        "instructions that change between the answers of two calls stand behind both",
        [
            ([system("s"), user("time?")], [ASKS_TOOLS]),
            ([system("s"), user("time?"), ASKS_TOOLS, TOOL_SAYS], None),
            ([system("t"), user("time?"), ASKS_TOOLS, TOOL_SAYS, OTHER_SAYS], [assistant("noon")]),
        ],
        ["s", "time?", "", "noon", "rain", "t", "noon"],
        7,
    ),
    Case(
        "a client cuts out what the model thought before it answered",
        [
            ([user("a")], [assistant("<think>\nHm.\n</think>\n\nA")]),
            ([user("a"), assistant("A"), user("b")], [assistant("Hm.</think>B")]),
            ([user("a"), assistant("A"), user("b"), assistant("B"), user("c")], None),
        ],
        ["a", "<think>\nHm.\n</think>\n\nA", "b", "Hm.</think>B", "c"],
        5,
    ),
    Case(
        "instructions behind a question are stored where they change, also back again",
        [
            ([user("a"), system("s")], [assistant("A")]),
            ([user("a"), system("s"), assistant("A"), user("b"), system("t")], [assistant("B")]),
            (
                [
                    *(user("a"), system("s"), assistant("A"), user("b"), system("t")),
                    *(assistant("B"), user("c"), system("s")),
                ],
                [assistant("C")],
            ),
            ([user("d"), system("s")], [assistant("D")]),
        ],
        ["a", "s", "A", "b", "t", "B", "c", "s", "C", "d", "D"],
        11,
    ),
    Case(
        "of two instructions the one that changes is stored at each change, also back again",
        [
            ([system("s"), system("1"), user("a")], [assistant("A")]),
            ([system("s"), system("2"), user("b")], [assistant("B")]),
            ([system("s"), system("1"), user("c")], [assistant("C")]),
            ([system("s"), system("1"), user("d")], [assistant("D")]),
        ],
        ["s", "1", "a", "A", "2", "b", "B", "1", "c", "C", "d", "D"],
        12,
    ),
    Case(
        "two instructions that always stand behind the question are stored once",
        [
            ([user("a"), system("s"), system("t")], [assistant("A")]),
            (
                [user("a"), assistant("A"), user("b"), system("s"), system("t")],
                [assistant("B")],
            ),
            ([user("c"), system("s"), system("t")], [assistant("C")]),
        ],
        ["a", "s", "t", "A", "b", "B", "c", "C"],
        8,
    ),
    Case(
        "retries of a client without memory that puts instructions behind its question",
        [
            ([user("a"), system("s")], None),
            ([user("a"), system("s")], half("A is")),
            ([user("a"), system("s")], [assistant("A is 1")]),
        ],
        ["a", "s", "A is 1"],
        4,
    ),
    Case(
        "a retry within a window that ends with instructions",
        [
            ([user("a")], [assistant("A")]),
            ([assistant("A"), user("b"), system("s")], None),
            ([assistant("A"), user("b"), system("s")], [assistant("B")]),
        ],
        ["a", "A", "b", "s", "B"],
        5,
    ),
    Case(
        "a retry of a client that puts something that changes before its history asks once",
        [
            ([user("9:00"), user("a")], [assistant("A")]),
            ([user("9:01"), user("a"), assistant("A"), user("b")], None),
            ([user("9:01"), user("a"), assistant("A"), user("b")], None),
            ([user("9:01"), user("a"), assistant("A"), user("b")], [assistant("B")]),
        ],
        ["9:00", "a", "A", "9:01", "b", "B"],
        6,
    ),
    Case(
        "such a retry after half an answer asks once, and its answer stands beside that half",
        [
            ([user("a")], [assistant("A")]),
            ([user("In short: a."), assistant("A"), user("b")], half("B is")),
            ([user("In short: a."), assistant("A"), user("b")], [assistant("B is 2")]),
        ],
        ["a", "A", "In short: a.", "b", "B is 2"],
        6,
    ),
    Case(
        "such a retry with the answers of tools asks once",
        [
            ([user("9:00"), user("time?")], [ASKS_TOOL]),
            ([user("9:01"), user("time?"), ASKS_TOOL_RESENT, TOOL_SAYS], None),
            ([user("9:01"), user("time?"), ASKS_TOOL_RESENT, TOOL_SAYS], [assistant("noon")]),
        ],
        ["9:00", "time?", "", "noon", "9:01", "noon"],
        6,
    ),
    Case(
        "an agent takes a call over that it is not told of, and the call is told behind it",
        [
            ([user("z")], [assistant("Z")]),
            ([user("z"), assistant("Z"), user("a")], [ASKS_TOOL]),
            ([user("z"), assistant("Z"), user("a")], [assistant("A")]),
            (
                [
                    *(user("z"), assistant("Z"), user("a"), ASKS_TOOL, TOOL_SAYS, assistant("A")),
                    user("b"),
                ],
                [assistant("B")],
            ),
        ],
        ["z", "Z", "a", "", "noon", "A", "b", "B"],
        9,
    ),
    Case(
        "an agent takes a call over with a summary, which then stands in front of the call",
        [
            ([user("a")], [ASKS_TOOL]),
            ([assistant("in short")], [assistant("A")]),
            (
                [assistant("in short"), ASKS_TOOL, TOOL_SAYS, assistant("A"), user("b")],
                [assistant("B")],
            ),
        ],
        ["a", "", "noon", "in short", "A", "b", "B"],
        9,
    ),
    Case(
        "old calls of tools are left out, and what the model said with them is kept",
        [
            ([user("z")], [assistant("Z")]),
            ([user("z"), assistant("Z"), user("a")], [SAYS_AND_ASKS]),
            ([user("z"), assistant("Z"), user("a"), SAYS_AND_ASKS, TOOL_SAYS], [SAYS_AND_ASKS_B]),
            (
                [
                    *(user("z"), assistant("Z"), user("a"), SAYS_AND_ASKS, TOOL_SAYS),
                    *(SAYS_AND_ASKS_B, OTHER_SAYS),
                ],
                [assistant("A")],
            ),
            (
                [
                    *(user("z"), assistant("Z"), user("a"), assistant("Let me see.")),
                    *(assistant("And there."), assistant("A"), user("b")),
                ],
                [assistant("B")],
            ),
            (
                [
                    *(user("z"), assistant("Z"), user("a"), assistant("Let me see.")),
                    *(assistant("And there."), assistant("A"), user("b"), assistant("B")),
                    user("c"),
                ],
                [assistant("C")],
            ),
        ],
        ["z", "Z", "a", "Let me see.", "noon", "And there.", "rain", "A", "b", "B", "c", "C"],
        14,
    ),
    Case(
        "old calls of tools are left out, with notes that were said between them",
        [
            ([user("z")], [assistant("Z")]),
            ([user("z"), assistant("Z"), user("a")], [SAYS_AND_ASKS]),
            ([user("z"), assistant("Z"), user("a"), SAYS_AND_ASKS, TOOL_SAYS], [SAYS_AND_ASKS_B]),
            (
                [
                    *(user("z"), assistant("Z"), user("a"), SAYS_AND_ASKS, TOOL_SAYS),
                    *(SAYS_AND_ASKS_B, OTHER_SAYS, user("go on")),
                ],
                [assistant("A")],
            ),
            (
                [
                    *(user("z"), assistant("Z"), user("a"), assistant("Let me see.")),
                    *(assistant("And there."), assistant("A"), user("b")),
                ],
                [assistant("B")],
            ),
            (
                [
                    *(user("z"), assistant("Z"), user("a"), assistant("Let me see.")),
                    *(assistant("And there."), assistant("A"), user("b"), assistant("B")),
                    user("c"),
                ],
                [assistant("C")],
            ),
        ],
        [
            "z",
            "Z",
            "a",
            "Let me see.",
            "noon",
            "And there.",
            "rain",
            "go on",
            "A",
            "b",
            "B",
            "c",
            "C",
        ],
        15,
    ),
    Case(
        "a question that loses its documents, and then the calls of tools behind it",
        [
            ([user("z")], [assistant("Z")]),
            ([user("z"), assistant("Z"), user("doc a")], [SAYS_AND_ASKS]),
            (
                [user("z"), assistant("Z"), user("doc a"), SAYS_AND_ASKS, TOOL_SAYS],
                [assistant("A")],
            ),
            (
                [user("z"), assistant("Z"), user("a"), assistant("A"), user("doc b")],
                [ASKS_AGAIN | {"content": "And now?"}],
            ),
            (
                [
                    *(user("z"), assistant("Z"), user("a"), assistant("A"), user("doc b")),
                    *(ASKS_AGAIN | {"content": "And now?"}, SAYS_AGAIN),
                ],
                [assistant("B")],
            ),
            (
                [
                    *(user("z"), assistant("Z"), user("a"), assistant("A"), user("b")),
                    *(assistant("And now?"), assistant("B"), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        [
            *("z", "Z", "doc a", "Let me see.", "noon", "A"),
            *("doc b", "And now?", "night", "B", "c", "C"),
        ],
        15,
    ),
    Case(
        "a retry of a client that leaves out calls of tools once they are answered",
        [
            ([user("time?")], [ASKS_TOOL]),
            ([user("time?"), ASKS_TOOL, TOOL_SAYS], [assistant("It is noon.")]),
            ([user("time?"), assistant("It is noon."), user("thanks")], None),
            ([user("time?"), assistant("It is noon."), user("thanks")], [assistant("welcome")]),
        ],
        ["time?", "", "noon", "It is noon.", "thanks", "welcome"],
        6,
    ),
    Case(
        "an edit to words that were said again later is a branch where it was made",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("more")], [assistant("1")]),
            (
                [user("a"), assistant("A"), user("more"), assistant("1"), user("b")],
                [assistant("B")],
            ),
            (
                [
                    *(user("a"), assistant("A"), user("more"), assistant("1")),
                    *(user("b"), assistant("B"), user("more")),
                ],
                [assistant("2")],
            ),
            (
                [user("a"), assistant("A"), user("more"), assistant("1"), user("more")],
                [assistant("3")],
            ),
        ],
        ["a", "A", "more", "1", "more", "3"],
        10,
    ),
    Case(
        "back to the first of two answers, which was given again later on the branch of the second",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("1")]),
            ([user("a"), assistant("A"), user("b")], [assistant("2")]),
            ([user("a"), assistant("A"), user("b"), assistant("2"), user("b")], [assistant("1")]),
            ([user("a"), assistant("A"), user("b"), assistant("1"), user("c")], [assistant("C")]),
        ],
        ["a", "A", "b", "1", "c", "C"],
        9,
    ),
    Case(
        "an answer that was edited, with what followed it, is a branch where it stood",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            ([user("a"), assistant("A"), user("b"), assistant("B"), user("c")], [assistant("C")]),
            (
                [
                    *(user("a"), assistant("A"), user("b"), assistant("B, edited")),
                    *(user("c"), assistant("C"), user("d")),
                ],
                [assistant("D")],
            ),
        ],
        ["a", "A", "b", "B, edited", "c", "C", "d", "D"],
        11,
    ),
    Case(
        "a summary in the assistant's name behind an answer is none that was edited",
        [
            ([user("a")], [assistant("A")]),
            ([user("a"), assistant("A"), user("b")], [assistant("B")]),
            (
                [
                    *(user("a"), assistant("A"), assistant("what b was about")),
                    *(assistant("B"), user("c")),
                ],
                [assistant("C")],
            ),
        ],
        ["a", "A", "b", "B", "what b was about", "c", "C"],
        7,
    ),
    Case(
        "a window of words that were said a hundred times",
        [
            ([user("a"), *([assistant("ok"), user("go on")] * 100)], [assistant("ok")]),
            ([user("go on"), assistant("ok"), user("b")], [assistant("B")]),
        ],
        ["a", *["ok", "go on"] * 100, "ok", "b", "B"],
        204,
    ),
    Case(
        "only instructions",
        [([system("s")], [assistant("ready")]), ([system("s"), user("a")], [assistant("A")])],
        ["s", "ready", "a", "A"],
        4,
    ),
    Case(
        "an agent that is told to speak, and to speak again, before anybody has said anything",
        [
            ([system("s"), system("greet")], [assistant("G")]),
            ([system("s"), assistant("G"), system("ask")], None),
            ([system("s"), assistant("G"), system("ask")], [assistant("H")]),
            ([system("s"), assistant("G"), assistant("H"), user("a")], [assistant("A")]),
        ],
        ["s", "greet", "G", "ask", "H", "s", "a", "A"],
        8,
    ),
    Case(
        "no messages at all",
        [([], [assistant("?")])],
        ["?"],
        1,
    ),
]

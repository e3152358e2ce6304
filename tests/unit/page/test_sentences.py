"""What goes wrong is told in the reader's language: no sentence of the importer is forgotten."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import officeai_proxy
from officeai_proxy.formats.reading.imported import UnknownFile
from officeai_proxy.page.language import Language, load_words
from officeai_proxy.page.sentences import PREFIX, Sentences

PACKAGE = Path(officeai_proxy.__file__).parent
SPOKEN = (
    *sorted((PACKAGE / "formats" / "reading").glob("*.py")),
    PACKAGE / "auth" / "granting.py",
    PACKAGE / "auth" / "permissions.py",
    PACKAGE / "imports.py",
    PACKAGE / "page" / "changes.py",
    PACKAGE / "page" / "guards.py",
    PACKAGE / "page" / "keyroom.py",
    PACKAGE / "storage" / "transfer" / "imports.py",
)
ERRORS = {
    "BadItem",
    "BodyTooLarge",
    "CutOff",
    "Fault",
    "NotAllowed",
    "NotSplittable",
    "UnprocessableInput",
    "_NoConversation",
}
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def sentences() -> Sentences:
    """All sentences of the page."""
    return Sentences(load_words())


def spoken() -> Iterator[tuple[str, str]]:
    """Where something is said to be wrong, and what is said, with `7` for all that varies."""
    for file in SPOKEN:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS and node.args:
                said = _sentence(node.args[0])
                if said is not None:
                    yield f"{file.stem}:{node.lineno}", said


def _sentence(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values
        )
    return None


FOUND = dict(spoken())


@pytest.mark.parametrize("place", FOUND)
def test_every_sentence_can_be_said_in_chinese(sentences: Sentences, place: str) -> None:
    """Whoever adds one adds its words, or this fails; in English it is told as it is."""
    told = sentences.told(FOUND[place], Language.CHINESE)

    assert told.language is Language.CHINESE, FOUND[place]
    assert CHINESE.search(told.text) or re.fullmatch("7：7", told.text)
    assert sentences.told(FOUND[place], Language.ENGLISH).text == FOUND[place]


def test_enough_was_found() -> None:
    """The sources still say what is wrong in the way that is looked for."""
    assert len(FOUND) > 40


def test_a_sentence_in_another(sentences: Sentences) -> None:
    """What is inside is told in the same language, and values stay as they are."""
    inner = "b: c.json: message 3: `role` must be a text."
    told = sentences.told(inner, Language.CHINESE)
    assert told.text == "b：c.json：第 3 条消息：`role` 必须是文本。"
    strange = UnknownFile("What is wrong here: it is not a JSON object.")
    assert sentences.told(strange.message, Language.CHINESE).text.endswith(
        "问题在于：不是 JSON 对象。"
    )


def test_what_is_not_known_stays_english(sentences: Sentences) -> None:
    """A sentence that the page does not have is told as it is, and marked as English."""
    told = sentences.told("Something else happened", Language.CHINESE)
    assert (told.text, told.language) == ("Something else happened", Language.ENGLISH)


def test_nothing_in_a_sentence_is_a_place_for_anything(sentences: Sentences) -> None:
    """Braces and line breaks in a value are told, not read."""
    told = sentences.told("`{0} {why}\n` must be a text.", Language.CHINESE)
    assert told.text == "`{0} {why}\n` 必须是文本。"


def test_all_sentences_are_told_apart(sentences: Sentences) -> None:
    """No sentence is taken for another: each is found by its own words."""
    words = load_words()
    for name in words[Language.ENGLISH].names:
        if name.startswith(PREFIX):
            template = words[Language.ENGLISH](name)
            places = dict.fromkeys(re.findall(r"(?<!{){(\w+)}", template), "7")
            english = template.format(**places)
            chinese = words[Language.CHINESE](name).format(**places)
            assert sentences.told(english, Language.CHINESE).text == chinese, name

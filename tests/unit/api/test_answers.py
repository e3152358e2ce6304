"""Answers carry every text, and every documented error has its shape."""

from http import HTTPStatus

from officeai_proxy.api.answers import ErrorAnswer, JsonAnswer, problems


def test_half_a_character_and_a_huge_number_are_no_hindrance():
    """What the usual encoders refuse is an answer that every reader takes."""
    body = JsonAnswer({"text": "a\ud800😀", "number": 2**80}).body

    assert body == b'{"text":"a\\ufffd\\ud83d\\ude00","number":1208925819614629174706176}'


def test_chinese_is_not_escaped():
    """Answers can be read as they are."""
    assert JsonAnswer({"text": "你好"}).body.decode() == '{"text":"你好"}'


def test_documented_errors_have_the_shape():
    """Each documented error has words, a model and an example that fits it."""
    documented = problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, body=True)

    assert set(documented) == {400, 401, 403, 404, 409, 413, 415, 422, 503}
    for answer in documented.values():
        ErrorAnswer.model_validate(answer["content"]["application/json"]["example"])
        assert answer["description"]


def test_a_route_without_a_body_has_no_errors_of_bodies():
    """A list is documented with the errors that it can give."""
    assert set(problems()) == {401, 403, 422, 503}

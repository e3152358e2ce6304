"""Overview, call log, keys and audit log, without a screen."""

import re
from types import SimpleNamespace

import pytest
from tests.api import NOW, Api
from tests.page.conftest import ON_BOTH, Reader
from tests.page.stories import tell_calls

from officeai_proxy import __version__
from officeai_proxy.health.pulse import DatabaseHealth, Health, RecorderHealth, UpstreamHealth


class _Pulse:
    """How a proxy is that has seen better days."""

    async def health(self) -> Health:
        """Always the same."""
        return Health(
            status="degraded",
            version=__version__,
            uptime_seconds=1,
            database=DatabaseHealth(status="up", dialect="sqlite"),
            upstream=UpstreamHealth(base_url="https://api.example.com/v1"),
            recorder=RecorderHealth(
                pending=3, lag_seconds=1.5, journal_bytes=2048, set_aside=1, dropped=0
            ),
        )


@pytest.fixture
async def measured(paged: Api, reader: Reader) -> Reader:
    """Somebody who looks at the calls of a day."""
    known = paged.services
    names = ("database", "settings", "clock", "freshness", "export_slots", "keyring", "audit")
    services = SimpleNamespace(**{name: getattr(known, name) for name in names})
    services.pulse = _Pulse()
    services.refresh_keys = _no_refresh
    paged.app.state.services = services
    await tell_calls(known.database, NOW)
    return reader


async def _no_refresh() -> None:
    """There is one worker only."""


@ON_BOTH
async def test_the_overview(measured: Reader) -> None:
    """Numbers are told as charts and as text, by model, user and key, with the proxy's health."""
    shown = (await measured.get("/ui/overview")).text
    assert len(re.findall('<svg viewBox="0 0 1000 100"', shown)) == 5
    assert shown.count('class="column"') == 5 * 24
    for text in ("gpt-4o-mini", "ann@example.com", "key_laptop", "needs attention", "3 · 1.5 s"):
        assert text in shown, text
    assert re.search(r">Cost</dt><dd>\$[\d.]+ <small>without \d+ calls</small>", shown)
    assert 'style="' not in shown


async def test_spans_and_filters(paged: Api, measured: Reader) -> None:
    """Each stretch of time and each filter has an address; a wrong one is refused. A name that
    leads to nothing is sealed in the audit log.
    """
    for span in ("24h", "7d", "30d", "90d"):
        assert (await measured.get(f"/ui/overview?span={span}")).status_code == 200
    shown = (await measured.get("/ui/overview?model=qwen-max&user=li.wei")).text
    assert "ann@example.com" not in shown
    chips = re.findall(r'class="chip" href="([^"]+)"', shown)
    assert chips == [
        f"/ui/overview?span=24h&amp;{one}" for one in ("model=qwen-max", "user=li.wei")
    ]
    for by in ("", "&amp;key="):
        assert f'href="/ui/overview?span=24h&amp;user=li.wei&amp;model=qwen-max{by}' in shown
    assert (await measured.get("/ui/overview?span=1y")).status_code == 422
    assert "No calls in this time" in (await measured.get("/ui/overview?user=nobody")).text
    async with paged.services.database.read() as connection:
        names = await connection.exec_driver_sql("SELECT user_identifier FROM audit_log")
        assert set(names.scalars()) == {None, "li.wei"}


async def test_the_call_log(measured: Reader) -> None:
    """Calls come newest first and go on while scrolling; errors say what they were."""
    seen = 0
    address = "/ui/calls"
    while address:
        shown = (await measured.get(address, x_part="more")).text
        seen += len(re.findall("<tr", shown)) - shown.count("more-row")
        more = re.search(r'class="more" href="([^"]+)"', shown)
        address = more[1].replace("&amp;", "&") if more else ""
    assert seen > 200
    assert len(re.findall(r">\d{4}-\d\d-\d\d \d\d:\d\d:\d\d</time>", shown)) > 20
    errors = (await measured.get("/ui/calls?errors=1")).text
    assert errors.count("<tr") - 1 == errors.count('class="failed"') == errors.count("Rate limit")
    assert "No call is like that" in (await measured.get("/ui/calls?user=nobody")).text
    assert (await measured.get("/ui/calls?since=x")).status_code == 422


@ON_BOTH
async def test_keys(measured: Reader) -> None:
    """A key is made, shown once, replaced and revoked; a faulty form says what is wrong."""
    fault = await measured.post("/ui/keys", name="", **{"scope-chat": "1"})
    assert fault.status_code == 422
    for wrong in ({"rpm": "many"}, {"expires": "soon"}):
        answer = await measured.post("/ui/keys", name="x", **{"scope-chat": "1"}, **wrong)
        assert answer.status_code == 422, wrong
    made = (
        await measured.post("/ui/keys", name="laptop <b>", expires="90d", **{"scope-chat": "1"})
    ).text
    [key] = re.findall(r"sk-oai-[\w-]{43}", made)
    assert "laptop &lt;b&gt;" in made
    listed = (await measured.get("/ui/keys")).text
    assert key not in listed
    [number] = set(re.findall(r"key_[0-9a-f]{16}", listed))
    asked = (await measured.get(f"/ui/keys/{number}/rotate")).text
    assert "laptop &lt;b&gt;”, which goes on working for a day" in asked
    rotated = (await measured.post(f"/ui/keys/{number}/rotate", once="")).text
    assert len(re.findall(r"sk-oai-[\w-]{43}", rotated)) == 1
    assert "will open nothing" in (await measured.get(f"/ui/keys/{number}/revoke")).text
    await measured.post(f"/ui/keys/{number}/revoke")
    assert ">revoked</td>" in (await measured.get("/ui/keys")).text
    assert (await measured.post("/ui/keys/nothing/revoke")).status_code == 404
    assert (await measured.get("/ui/keys/nothing/rotate")).status_code == 404


async def test_what_a_key_may_do_is_told_in_words_of_the_reader(measured: Reader) -> None:
    """As they are called in the form beside the list, and in its order."""
    form = {"name": "laptop", "scope-read": "1", "scope-admin": "1"}
    await measured.post("/ui/keys", **form)
    assert ">读取、管理<" in (await measured.get("/ui/keys", accept_language="zh-CN")).text


async def test_what_was_typed_for_a_key_is_kept_to_be_mended(measured: Reader) -> None:
    """A mistake in one field costs nobody the others; a new form is blank."""
    form = {"name": "Ann's <laptop>", "user": "ann", "rpm": "60", "scope-admin": "1"}
    shown = (await measured.post("/ui/keys", expires="soon", **form)).text
    for kept in ("Ann&#39;s &lt;laptop&gt;", "ann", "60", "soon"):
        assert f'value="{kept}"' in shown
    assert re.findall(r'name="scope-(\w+)" value="1" checked', shown) == ["admin"]

    shown = (await measured.post("/ui/keys", **form)).text
    assert 'name="rpm" value=""' in shown
    assert re.findall(r'name="scope-(\w+)" value="1" checked', shown) == ["chat", "read"]


async def test_a_form_makes_one_key(measured: Reader) -> None:
    """Loading the answer again makes no second key and shows none; a new page makes another."""

    async def page_of_keys() -> tuple[str, str]:
        shown = (await measured.get("/ui/keys")).text
        [once] = set(re.findall(r'name="once" value="([\w-]{43})"', shown))
        return once, shown

    form = {"name": "laptop", "scope-chat": "1"}
    once, _ = await page_of_keys()
    made = await measured.post("/ui/keys", once=once, **form)
    again = await measured.post("/ui/keys", once=once, **form)
    another, shown = await page_of_keys()
    [number] = set(re.findall(r"key_[0-9a-f]{16}", shown))
    rotated = await measured.post(f"/ui/keys/{number}/rotate", once=another)
    again_rotated = await measured.post(f"/ui/keys/{number}/rotate", once=another)
    last = await measured.post("/ui/keys", once=another, **form)

    for answer in (made, rotated, last):
        assert answer.status_code == 200
        assert len(re.findall(r"sk-oai-[\w-]{43}", answer.text)) == 1
    for answer in (again, again_rotated):
        assert answer.status_code == 409
        assert "sent before" in answer.text
        assert re.findall(r"sk-oai-[\w-]{43}", answer.text) == []
    _, shown = await page_of_keys()
    assert len(set(re.findall(r"key_[0-9a-f]{16}", shown))) == 3


async def test_the_audit_log(measured: Reader) -> None:
    """What was done is listed, with who did it; a filter leaves what it should."""
    await measured.get("/ui/search?q=words")
    shown = (await measured.get("/ui/keys/audit")).text
    assert re.search(r"data-seconds>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d</time>", shown)
    assert "message.search" in shown
    assert "configured-1" in shown
    assert "message.search" not in (await measured.get("/ui/keys/audit?actor=nobody")).text

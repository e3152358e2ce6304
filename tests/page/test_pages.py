"""The page as a reader uses it, without a screen: lists, conversations, changes, files."""

import io
import json
import re
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.api import KEY, NOW, OTHER_TEAM, Api, a_managed_key
from tests.factories import an_exchange, user
from tests.page.conftest import ON_BOTH, SAME_ORIGIN, Reader
from tests.page.stories import (
    HOSTILE,
    spoken,
    tell,
    tell_hostile,
    tell_long,
    tell_many,
    tell_stories,
)

from officeai_proxy.formats.registry import FORMATS
from officeai_proxy.model import Outcome, Role, Scope
from officeai_proxy.recording.turns import read_turn
from officeai_proxy.recording.writer import write
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.access.api_keys import ApiKeyRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.exchanges import SqlExchangeStore

LIVE = timedelta(seconds=1)


@pytest.fixture
async def ids(paged: Api) -> dict[str, int]:
    """One conversation of every kind."""
    return await tell_stories(paged.services.database, NOW, long=200)


async def test_walls(paged: Api, stranger: Reader, ids: dict[str, int]) -> None:
    """Nothing of another workspace is shown, counted, found, exported or changed."""
    other = a_managed_key(OTHER_TEAM, workspace="other", scopes=set(Scope), user=None)
    async with paged.services.database.write() as connection:
        await ApiKeyRepository(connection).add(other)
    await stranger.sign_in(OTHER_TEAM)
    assert "Nothing has been recorded yet" in (await stranger.get("/ui")).text
    number = ids["python"]
    for path in ("", "/messages?after=0", "/title", "/export", "/download", "/erase"):
        assert (await stranger.get(f"/ui/c/{number}{path}")).status_code == 404, path
    for path in ("title", "bin", "restore", "erase"):
        answer = await stranger.post(f"/ui/c/{number}/{path}", title="x")
        assert answer.status_code == 404, path
    assert "Python" not in (await stranger.get("/ui/search?q=Python")).text.split("<main")[1][900:]
    assert "user123" not in (await stranger.get("/ui/users")).text
    assert (await stranger.get("/ui/download?format=json")).json()["conversations"] == []


@pytest.mark.parametrize("number", [0, -1, 4711, 2**63 - 1, 2**63, 10**23])
async def test_a_number_that_no_conversation_has(reader: Reader, number: int) -> None:
    """It is not there, however large the number is."""
    for path in ("", "/messages?after=0", "/title", "/export", "/download", "/erase"):
        assert (await reader.get(f"/ui/c/{number}{path}")).status_code == 404, path
    for path in ("title", "bin", "restore", "erase"):
        assert (await reader.post(f"/ui/c/{number}/{path}", title="x")).status_code == 404, path


async def test_the_first_view_of_nothing(reader: Reader) -> None:
    """An empty page says how to record the first chat, with the real address."""
    shown = (await reader.get("/ui")).text
    assert "base_url=&#34;http://test/v1&#34;" in shown or 'base_url="http://test/v1"' in shown
    assert "X-Session-ID" in shown


async def test_where_there_is_nothing_to_choose(reader: Reader, ids: dict[str, int]) -> None:
    """Beside an empty bin, or a filter that leaves nothing, nobody is asked to choose."""
    assert "Choose a conversation" in (await reader.get("/ui")).text
    for path in ("/ui?bin=1", "/ui?user=nobody"):
        assert "Choose a conversation" not in (await reader.get(path)).text


async def test_the_list(reader: Reader, ids: dict[str, int]) -> None:
    """Conversations stand under their days, newest activity first."""
    shown = (await reader.get("/ui")).text
    titles = re.findall(r'row-title">([^<]*)<', shown)
    assert titles[:2] == ["介绍一下 Python", "什么是深度学习？"]
    assert "Today" in shown
    assert "Yesterday" in shown


async def test_filters(reader: Reader, ids: dict[str, int]) -> None:
    """User, model, days and the bin narrow the list down, and the address says so."""
    for query, expected in (
        ("user=li.wei", 3),
        ("user=%20li.wei%09&model=", 3),
        ("model=gpt-4o-mini", 1),
        ("since=2026-01-31", 6),
        ("until=2026-01-25", 1),
        ("bin=1", 0),
        ("user=nobody", 0),
    ):
        shown = (await reader.get(f"/ui?{query}")).text
        assert len(re.findall(r'class="row-title"', shown)) == expected, query
    assert (await reader.get("/ui?since=yesterday")).status_code == 422


async def test_users_beside_the_bin(reader: Reader, ids: dict[str, int]) -> None:
    """They are those of what is in it, with how much that is, also whoever has nothing else."""
    for one in ("report", "python"):
        await reader.post(f"/ui/c/{ids[one]}/bin")

    shown = (await reader.get("/ui/users?bin=1", x_part="column")).text
    counts = re.findall(r'user=([^"]+)".*?number">(\d+)<', shown)

    assert counts == [("ann%40example.com&amp;bin=1", "1"), ("user123&amp;bin=1", "1")]
    lived = (await reader.get("/ui/users", x_part="column")).text
    assert re.search(r'user=user123".*?number">(\d+)<', lived)


async def test_scrolling_over_all(paged: Api, reader: Reader) -> None:
    """Stretch after stretch, every conversation comes once."""
    await tell_many(paged.services.database, 200, NOW)
    seen: list[str] = []
    address = "/ui"
    while address:
        shown = (await reader.get(address, x_part="more")).text
        seen += re.findall(r'row-title">([^<]*)<', shown)
        more = re.search(r'class="more" href="([^"]+)"', shown)
        address = more[1].replace("&amp;", "&") if more else ""
    assert len(seen) == len(set(seen)) == 200


async def test_a_conversation(reader: Reader, ids: dict[str, int]) -> None:
    """Everything of a conversation is there, and half an answer is marked as half."""
    shown = (await reader.get(f"/ui/c/{ids['python']}", accept_language="zh")).text
    for text in (
        "<strong>解释型</strong>",
        "<table>",
        "调用工具 get_weather",
        "思考过程",
        "工具返回",
        '<img src="data:image/png;base64,',
        "已中断：客户端断开了连接",
        "412 tokens",
        "453 tokens",
        "gpt-4o",
    ):
        assert text in shown, text
    shown = (await reader.get(f"/ui/c/{ids['report']}")).text
    assert "Cut off by the model’s token limit." in shown


async def test_a_call_that_was_made_again(paged: Api, reader: Reader) -> None:
    """Over a reply nobody says that there is none: only that a first call had failed."""
    store = SqlExchangeStore(paged.services.database)
    await write(store, [read_turn(an_exchange([user("hi")], None))])
    assert "There is no reply" in (await reader.get("/ui/c/1")).text

    await write(store, [read_turn(an_exchange([user("hi")]))])

    shown = (await reader.get("/ui/c/1")).text
    assert "There is no reply" not in shown
    assert shown.count("A first call failed and was made again. 502") == 1


async def test_nothing_yet(paged: Api, reader: Reader) -> None:
    """What is empty is said to be, not to be filtered; and what is recorded, as it is set."""
    for record, told in (("header", "Nothing is recorded without"), ("all", "is recorded, too")):
        settings = load_settings(record=record, api_keys=KEY, _env_file=None)
        paged.services.settings = settings
        assert told in (await reader.get("/ui")).text
    assert "No call has been made yet." in (await reader.get("/ui/calls")).text
    assert "No call is like that." in (await reader.get("/ui/calls?errors=1")).text
    assert "<details" not in (await reader.get("/ui/overview")).text


async def test_a_call_that_its_client_left_is_no_error(paged: Api, reader: Reader) -> None:
    """The log says how each call ended, and marks those that "Errors only" leaves and no others."""
    outcomes = (Outcome.CLIENT_CLOSED, Outcome.TRUNCATED, Outcome.UPSTREAM_TIMEOUT)
    calls = [read_turn(an_exchange(session=one, outcome=one)) for one in outcomes]
    await write(SqlExchangeStore(paged.services.database), calls)

    shown = (await reader.get("/ui/calls")).text

    told = re.findall(r'<td class="text-cell wide-cell">([^<]*)', shown)
    assert told == ["⚠ 200 upstream silent", "200 truncated", "200 client left"]
    assert shown.count('<tr class="failed"') == 1
    errors = (await reader.get("/ui/calls?errors=1")).text
    assert re.findall(r'<td class="text-cell wide-cell">([^<]*)', errors) == told[:1]


async def test_from_a_call_to_its_conversation(paged: Api, reader: Reader) -> None:
    """By session and user, which may have any signs; what is not there is a page that says so."""
    one = an_exchange([user("hi")], session="a&b #1", user="x y")
    await write(SqlExchangeStore(paged.services.database), [read_turn(one)])

    shown = (await reader.get("/ui/calls")).text
    link = re.search(r'href="(/ui/c\?[^"]+)"', shown)
    assert link
    answer = await reader.get(link[1].replace("&amp;", "&"))

    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/c/1")
    for names in ("session=a%26b%20%231&user=other", "session=none"):
        answer = await reader.get(f"/ui/c?{names}")
        assert answer.status_code == 404
        assert "There is no conversation with the session id" in answer.text
    assert (await reader.get("/ui/c")).status_code == 422


async def test_how_long_it_took_is_told_of_the_reply_alone(paged: Api, reader: Reader) -> None:
    """An earlier answer that the request brought along was not made by this call."""
    asked = [user("hi"), {"role": "assistant", "content": "hello"}, user("more")]
    await write(SqlExchangeStore(paged.services.database), [read_turn(an_exchange(asked))])

    shown = (await reader.get("/ui/c/1")).text

    assert shown.count('class="said by-assistant"') == 2
    assert shown.count(" in all</span>") == 1


async def test_a_long_conversation(reader: Reader, ids: dict[str, int]) -> None:
    """A long conversation opens at its end, and is read upwards to its beginning."""
    shown = (await reader.get(f"/ui/c/{ids['long']}")).text
    assert "Question 199" in shown
    assert "Question 99:" not in shown
    seen = re.findall(r"Question (\d+):", shown)
    while more := re.search(r'class="more" href="([^"]+)" data-more="prepend"', shown):
        shown = (await reader.get(more[1].replace("&amp;", "&"), x_part="more")).text
        seen = re.findall(r"Question (\d+):", shown) + seen
    assert seen == [str(n) for n in range(1, 201, 2)]


async def test_to_the_beginning(reader: Reader, ids: dict[str, int]) -> None:
    """One click leads to the first message of a conversation of which only the end is shown."""
    shown = (await reader.get(f"/ui/c/{ids['long']}")).text
    link = re.search(r'href="([^"]+)" data-open aria-label="To the beginning"', shown)
    assert link
    begin = (await reader.get(link[1].partition("#")[0])).text
    assert re.findall(r"Question (\d+):", begin)[0] == "1"
    for all_of_it in (begin, (await reader.get(f"/ui/c/{ids['python']}")).text):
        assert "To the beginning" not in all_of_it


async def test_a_conversation_of_long_messages(paged: Api, reader: Reader) -> None:
    """Fewer of them come at once, from either end and from the middle, and none is left out."""
    said = [spoken("user", f"Message {n}. {'word ' * n * 1_000}", NOW) for n in range(30)]
    number = await tell(paged.services.database, "talk", "ann", said, when=NOW)
    numbers = re.compile(r'(?:<p>|class="plain">)Message (\d+)\.')
    shown = (await reader.get(f"/ui/c/{number}")).text
    first = re.findall(r'id="m(\d+)"', shown)[0]
    seen = numbers.findall(shown)
    assert seen == ["29"]
    while more := re.search(r'class="more" href="([^"]+)" data-more="prepend"', shown):
        shown = (await reader.get(more[1].replace("&amp;", "&"), x_part="more")).text
        seen = numbers.findall(shown) + seen
    assert seen == [str(n) for n in range(30)]

    middle = int(first) - 15
    shown = (await reader.get(f"/ui/c/{number}?at={middle}")).text
    assert f'id="m{middle}" data-message="{middle}" data-found' in shown
    assert len(re.findall('<section class="said', shown)) < 10
    after = f"/ui/c/{number}/messages?after={middle}"
    shown = (await reader.get(after, x_part="more")).text
    assert re.findall(r'id="m(\d+)"', shown)[0] == str(middle + 1)
    assert 'data-more="append"' in shown


async def test_a_long_conversation_without_a_script(reader: Reader, ids: dict[str, int]) -> None:
    """Its links lead to whole pages, on which one can go on in both directions and back."""
    address = f"/ui/c/{ids['long']}"
    seen: set[str] = set()
    for end, way in (("1", "prepend"), ("199", "append")):
        for _ in range(20):
            shown = (await reader.get(address)).text
            assert "<title>" in shown
            assert 'href="/ui"' in shown
            seen |= set(re.findall(r"Question (\d+):", shown))
            more = re.search(rf'class="more" href="([^"]+)" data-more="{way}"', shown)
            if more is None:
                break
            answer = await reader.get(more[1].replace("&amp;", "&"))
            assert answer.status_code == 303
            address = answer.headers["location"]
        assert f"Question {end}:" in shown
    assert len(seen) == 100
    assert (await reader.get(f"/ui/c/{ids['long']}/messages")).headers["location"] == (
        f"/ui/c/{ids['long']}"
    )


async def test_what_is_new(paged: Api, reader: Reader) -> None:
    """Asking for what is new gives it once, and nothing when there is nothing."""
    database = paged.services.database
    number = await tell_long(database, NOW, 4)
    shown = (await reader.get(f"/ui/c/{number}")).text
    after = re.search(r'data-after="(\d+)"', shown)
    assert after
    address = f"/ui/c/{number}/messages?after="
    assert (await reader.get(address + after[1], x_part="more")).status_code == 204
    before = str(int(after[1]) - 1)
    news = await reader.get(address + before, x_part="more")
    assert f'id="m{after[1]}"' in news.text
    gone = str(int(after[1]) - 10**6)
    assert (await reader.get(address + gone, x_part="more")).status_code in (205, 422)

    await reader.post(f"/ui/c/{number}/bin")
    assert (await reader.get(address + after[1], x_part="more")).status_code == 205
    assert "data-live" not in (await reader.get(f"/ui/c/{number}")).text


@pytest.mark.parametrize(
    ("q", "told"),
    [(" ".join(f"w{n}" for n in range(65)), "at most 64 words"), ("?!", "one letter or digit")],
)
async def test_a_search_that_cannot_be_done(reader: Reader, q: str, told: str) -> None:
    """What is wrong with the words is told in their place."""
    answer = await reader.get(f"/ui/search?q={q}")

    assert answer.status_code == 200
    assert told in told_in(answer.text)


async def test_search(reader: Reader, ids: dict[str, int]) -> None:
    """Hits are marked, and lead to the message that says it."""
    shown = (await reader.get("/ui/search?q=深度学习")).text
    assert "<mark>深度学习</mark>" in shown
    [link] = re.findall(
        r'class="hit row" href="([^"]+)"', (await reader.get("/ui/search?q=Kyoto")).text
    )[:1]
    opened = (await reader.get(link.replace("&amp;", "&").partition("#")[0])).text
    assert "data-found" in opened
    assert (
        "深度学习"
        in (await reader.get("/ui/search?q=深度学习&user=%20user123%20")).text.split("<mark>")[1]
    )
    assert all(f'<option value="{role}">' in shown for role in Role)
    assert "at least one letter" in (await reader.get("/ui/search?q=!!!")).text
    assert "Nothing says that" in (await reader.get("/ui/search?q=nobodysaysthis")).text


async def test_the_ends_of_the_calendar_are_shown_in_every_zone(paged: Api, reader: Reader) -> None:
    """A time that the reader's clock does not have is shown as it is, and its day is a filter."""
    ends = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    said = [spoken("user", "hello", when) for when in ends]
    number = await tell(paged.services.database, "ends", "ann", said, when=ends[1])
    for zone in ("-480", "480", "480:Asia/Shanghai", "-480:America/Los_Angeles"):
        reader.client.cookies.set("officeai_zone", zone)
        assert "0001-01-01" in (await reader.get(f"/ui/c/{number}")).text
        assert (await reader.get("/ui?since=0001-01-01&until=9999-12-30")).status_code == 200


@ON_BOTH
async def test_rename(reader: Reader, ids: dict[str, int]) -> None:
    """A title that a person gives is shown from then on; what is none is there to be mended."""
    number = ids["report"]
    for wrong, told in (
        ("  ", "Give the conversation a title."),
        ("x" * 1001, "The title must be"),
    ):
        answer = await reader.post(f"/ui/c/{number}/title", title=wrong)
        assert answer.status_code == 422
        assert f'name="title" value="{wrong}"' in answer.text
        assert re.search(rf'role="alert">.*{told}', answer.text)
        assert f'href="/ui/c/{number}">Cancel</a>' in answer.text
    form = (await reader.get(f"/ui/c/{number}/title?user=ann%40example.com")).text
    assert f'action="/ui/c/{number}/title?user=ann%40example.com"' in form
    done = await reader.post(f"/ui/c/{number}/title?user=ann%40example.com", title="报告 <b>")
    assert done.headers["location"] == f"/ui/c/{number}?user=ann%40example.com"
    assert "报告 &lt;b&gt;" in (await reader.get(f"/ui/c/{number}")).text


@ON_BOTH
async def test_the_bin(reader: Reader, ids: dict[str, int]) -> None:
    """What is deleted can be had back at once or from the bin, until it is deleted for good."""
    number = ids["report"]
    gone = await reader.post(f"/ui/c/{number}/bin?user=ann%40example.com")
    assert gone.headers["location"] == f"/ui?user=ann%40example.com&binned={number}"
    undo = f"/ui/c/{number}/restore?user=ann%40example.com"
    assert f'action="{undo}"' in (await reader.get(gone.headers["location"])).text
    assert f"/ui/c/{number}?" in (await reader.get("/ui?bin=1")).text
    back = await reader.post(f"{undo}&bin=1")
    assert back.headers["location"] == f"/ui/c/{number}?user=ann%40example.com&told=restored"
    assert (await reader.get(back.headers["location"])).status_code == 200
    await reader.post(f"/ui/c/{number}/bin")
    await reader.post(f"/ui/c/{number}/erase")
    assert (await reader.get(f"/ui/c/{number}")).status_code == 404


async def test_the_conversation_whose_button_is_pressed_comes_back(
    paged: Api, reader: Reader
) -> None:
    """Of several in the bin with one session id it is not the one that was deleted last."""
    numbers = []
    for _ in range(2):
        said = [spoken("user", "hello", NOW)]
        numbers.append(await tell(paged.services.database, "rl", "ann", said, when=NOW))
        await reader.post(f"/ui/c/{numbers[-1]}/bin")
    first, last = numbers
    back = await reader.post(f"/ui/c/{first}/restore")
    assert back.headers["location"] == f"/ui/c/{first}?told=restored"
    listed = (await reader.get("/ui")).text
    assert f'"/ui/c/{first}"' in listed
    assert f'"/ui/c/{last}"' not in listed


async def test_only_the_conversation_whose_button_is_pressed_is_deleted(
    paged: Api, reader: Reader
) -> None:
    """A call to a newer one of the same name, which runs meanwhile, is stored when it ends."""
    said = [spoken("user", "hello", NOW)]
    number = await tell(paged.services.database, "rl", "ann", said, when=NOW)
    await reader.post(f"/ui/c/{number}/bin")
    begun = paged.services.clock().timestamp()
    await reader.post(f"/ui/c/{number}/erase")

    later = an_exchange(session="rl", started_ns=int(begun * 10**9))
    await write(SqlExchangeStore(paged.services.database), [read_turn(later)])

    assert "row-title" in (await reader.get("/ui")).text


@ON_BOTH
async def test_clearing_a_user_asks_for_the_name(reader: Reader, ids: dict[str, int]) -> None:
    """A history goes to the bin only when the name is typed."""
    wrong = await reader.post("/ui/clear", user="li.wei", confirm="li")
    assert wrong.status_code == 422
    assert "Nothing was deleted" in wrong.text
    assert len(re.findall("row-title", (await reader.get("/ui?user=li.wei")).text)) == 3
    await reader.post("/ui/clear", user="li.wei", confirm="li.wei")
    assert len(re.findall("row-title", (await reader.get("/ui?user=li.wei")).text)) == 0


async def test_export_all(reader: Reader, ids: dict[str, int]) -> None:
    """The button of that name leads to one plain download of everything, in any format."""
    shown = (await reader.get("/ui", accept_language="zh")).text
    assert "导出全部会话" in shown
    sheet = (await reader.get("/ui/export")).text
    assert "15 conversations" in sheet
    for name in ("json", "jsonl", "openai", "csv", "md", "txt", "html", "xlsx", "zip"):
        assert f'value="{name}"' in sheet
        answer = await reader.get(f"/ui/download?format={name}")
        assert answer.status_code == 200, name
        assert "attachment" in answer.headers["content-disposition"]
    packed = (await reader.get("/ui/download?format=zip&inner=md")).content
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert (manifest["conversations"], manifest["complete"]) == (15, True)
    some = (await reader.get("/ui/download?format=json&user=li.wei")).json()
    assert len(some["conversations"]) == 3
    assert (await reader.get("/ui/download?format=exe")).status_code == 422


async def test_an_archive_says_what_was_chosen(
    paged: Api, reader: Reader, ids: dict[str, int]
) -> None:
    """With the filters of its manifest the API finds just what is in it."""
    reader.client.cookies.set("officeai_zone", "480")
    chosen = "format=zip&user=li.wei&since=2026-01-25&until=2026-01-31"
    packed = (await reader.get(f"/ui/download?{chosen}")).content
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        manifest = json.loads(archive.read("manifest.json"))

    async with paged.client() as client:
        found = await client.get("/conversations", params=manifest["filters"])

    assert manifest["filters"]["updated_before"] == "2026-02-01T00:00:00+08:00"
    assert found.json()["total"] == manifest["conversations"] > 0


async def test_export_one(reader: Reader, ids: dict[str, int]) -> None:
    """A conversation is a file with its title for a name, also from the bin."""
    number = ids["python"]
    answer = await reader.get(f"/ui/c/{number}/download?format=md")
    assert "%E4%BB%8B%E7%BB%8D" in answer.headers["content-disposition"]
    assert "解释型" in answer.text
    await reader.post(f"/ui/c/{number}/bin")
    assert "解释型" in (await reader.get(f"/ui/c/{number}/download?format=txt")).text


async def test_export_one_of_several_with_a_name(paged: Api, reader: Reader) -> None:
    """Of several in the bin with one session id the file has the one that is open."""
    numbers = []
    for words in ("first", "second"):
        said = [spoken("user", words, NOW)]
        numbers.append(await tell(paged.services.database, "rl", "ann", said, when=NOW))
        await reader.post(f"/ui/c/{numbers[-1]}/bin")

    files = [(await reader.get(f"/ui/c/{n}/download?format=json")).json() for n in numbers]

    said_in = [[m["content"] for m in file["conversations"][0]["messages"]] for file in files]
    assert said_in == [["first"], ["second"]]
    assert [len(file["conversations"]) for file in files] == [1, 1]


@ON_BOTH
async def test_import(reader: Reader, ids: dict[str, int]) -> None:
    """An export that is dropped on the page comes back, and the report says what came of it."""
    exported = (await reader.get("/ui/download?format=json&user=li.wei")).content
    await reader.post("/ui/clear", user="li.wei", confirm="li.wei")
    client = reader.client
    report = await client.post("/ui/import", content=exported, headers=SAME_ORIGIN)
    assert 'class="number">3<' in report.text
    again = await client.post("/ui/import", content=exported, headers=SAME_ORIGIN)
    assert 'class="number">0<' in again.text
    wrong = await client.post("/ui/import", content=b"\0\1", headers=SAME_ORIGIN)
    assert wrong.status_code == 422


async def test_hostile_names_are_text(paged: Api, reader: Reader) -> None:
    """No field that a client controls becomes a tag, in any page that shows it."""
    number = await tell_hostile(paged.services.database, NOW)
    user = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    for path in (
        "/ui",
        f"/ui/c/{number}",
        "/ui/users",
        f"/ui?user={user}",
        f"/ui/clear?user={user}",
        f"/ui/c/{number}/title",
        f"/ui/c/{number}/erase",
        "/ui/search?q=alert",
        "/ui/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/ui?model=%3Cscript%3E",
        "/ui?since=%3Cscript%3E",
        "/ui/calls",
        f"/ui/calls?user={user}&session=%3Cscript%3Ealert(1)%3C/script%3E",
        "/ui/keys/audit",
    ):
        shown = (await reader.get(path)).text
        assert "<script>alert" not in shown, path
        assert "<img src=x" not in shown, path
        assert "<svg onload" not in shown, path
        assert 'style="' not in shown, path
    assert len(HOSTILE) > 15


async def test_the_database_is_away(paged: Api, reader: Reader) -> None:
    """While the database is away the page says so, and does not send anybody to the door."""
    paged.services.database = Database("postgresql://postgres@127.0.0.1:1/nothing")
    answer = await reader.get("/ui", accept_language="zh")
    assert answer.status_code == 503
    assert "数据库暂时不可用" in answer.text
    assert ">重试<" in answer.text


async def test_a_disk_without_room(paged: Api, reader: Reader, tmp_path: Path) -> None:
    """Nobody is told that the database is away when it is something else that is missing."""
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    paged.services.settings = load_settings(data_dir=folder, api_keys=KEY, _env_file=None)
    answer = await reader.client.post("/ui/import", content=b"{}", headers=SAME_ORIGIN)

    assert answer.status_code == 503
    assert "no room" in answer.text
    assert "database" not in answer.text


async def test_too_many_exports(paged: Api, reader: Reader) -> None:
    """A download that has to wait is a page that says so, and no broken file."""
    slots = paged.services.export_slots
    with slots.one(), slots.one():
        answer = await reader.get("/ui/download")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "2"
    assert "Too much at once" in answer.text


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1, gzip;q=0.8", True),
        ("GZIP ; q=0.001", True),
        ("gzip;q=0", False),
        ("deflate, gzip; q=0.000, br", False),
        ("identity, gzip ;Q=0", False),
        ("notgzip", False),
        ("identity", False),
        ("", False),
    ],
)
async def test_what_a_browser_takes(reader: Reader, accepted: str, is_packed: bool) -> None:
    """Pages and files are compressed for those who take that, and for nobody who refuses it."""
    asset = re.search(r'"(/ui/static/[^"]+[.]css)"', (await reader.get("/ui")).text)
    assert asset is not None
    for address in ("/ui", asset[1]):
        answer = await reader.get(address, accept_encoding=accepted)
        assert answer.headers.get("content-encoding") == ("gzip" if is_packed else None)


async def test_a_wrong_method_names_the_right_ones(reader: Reader) -> None:
    """A page too says in Allow what its address takes."""
    answer = await reader.client.request("OPTIONS", "/ui/enter")
    trace = await reader.client.request("TRACE", "/ui/users")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert (trace.status_code, trace.headers["allow"]) == (405, "GET")


async def test_half_a_character(paged: Api, reader: Reader) -> None:
    """A title that no encoding can carry is shown with a mark in its place, and breaks nothing."""
    said = [spoken("user", "a \ud83d b", NOW)]
    number = await tell(paged.services.database, "half", "user", said, when=NOW)
    assert (await reader.get(f"/ui/c/{number}")).status_code == 200


@ON_BOTH
async def test_everything_is_written_down(paged: Api, reader: Reader, ids: dict[str, int]) -> None:
    """What is read, changed and exported on the page is in the audit log like everywhere."""
    await reader.get(f"/ui/c/{ids['python']}")
    await reader.get("/ui/search?q=python")
    await reader.get("/ui/download?format=json")
    await reader.post(f"/ui/c/{ids['report']}/title", title="Report")
    await reader.post(f"/ui/c/{ids['report']}/bin")
    await reader.post(f"/ui/c/{ids['report']}/restore")
    await reader.post(f"/ui/c/{ids['report']}/erase")
    await reader.post("/ui/clear", user="li.wei", confirm="li.wei")
    async with paged.services.database.read() as connection:
        rows = (await connection.exec_driver_sql("SELECT action FROM audit_log")).scalars().all()
    assert {
        "conversation.read",
        "message.search",
        "workspace.export",
        "conversation.change",
        "conversation.bin",
        "conversation.restore",
        "conversation.erase",
        "user.clear",
    } <= set(rows)


async def test_a_name_that_leads_to_nothing_is_sealed(paged: Api, reader: Reader) -> None:
    """Somebody who was erased is not named again because somebody looks for them on the page."""
    for path in ("/ui?", "/ui/calls?", "/ui/search?q=a&", "/ui/download?"):
        assert (await reader.get(f"{path}user=nobody-7f")).status_code == 200
    await reader.post("/ui/clear", user="nobody-7f", confirm="nobody-7f")
    async with paged.services.database.read() as connection:
        rows = (
            await connection.exec_driver_sql("SELECT action, user_identifier FROM audit_log")
        ).all()
    assert len(rows) >= 5
    assert {user for _, user in rows} == {None}, rows


async def test_what_is_refused_is_written_down(paged: Api, reader: Reader) -> None:
    """Who asks for what is not there, or not theirs, leaves a trace."""
    assert (await reader.get("/ui/c/4711")).status_code == 404
    async with paged.services.database.read() as connection:
        rows = (await connection.exec_driver_sql("SELECT detail FROM audit_log")).scalars().all()
    assert any("refused" in (row or "") for row in rows)


def told_in(text: str) -> str:
    """What a page says, without its tags."""
    return re.sub(r"<[^>]+>", " ", text.partition("<main")[2] or text)


ENGLISH = re.compile(r"[A-Za-z]+(?:[ ,]+[a-z]+){3,}")
"""Four words in a row: no name and no value is so long."""


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_what_is_wrong_is_told_in_the_language_of_the_page(
    paged: Api, reader: Reader, language: str
) -> None:
    """Foreign files, faulty items, keys and addresses: sentences of ours, never of a library."""
    await reader.post("/ui/preferences", language=language)
    item = {"session_id": "s1", "messages": [{"role": 5}]}
    good = {"session_id": "s2", "user_identifier": "a/b", "messages": []}
    file = "\n".join(json.dumps(one) for one in (item, good)).encode()
    answers = [
        await reader.get("/ui/c/abc"),
        await reader.get("/ui/c/4711"),
        await reader.client.post("/ui/import", content=b"{}", headers=SAME_ORIGIN),
        await reader.client.post("/ui/import", content=b"", headers=SAME_ORIGIN),
        await reader.client.post("/ui/import", content=b"PK\x03\x04", headers=SAME_ORIGIN),
        await reader.client.post("/ui/import", content=file, headers=SAME_ORIGIN),
    ]
    form = {"name": "x", "scope-chat": "1"}
    wrong = [{"expires": "soon"}, {"expires": "0"}, {"rpm": "many"}, {"rpm": "0"}, {"name": ""}]
    answers += [await reader.post("/ui/keys", **{**form, **one}) for one in wrong]
    answers.append(await reader.post("/ui/keys", name="x"))
    answers.append(await reader.get("/ui?since=2026-13-01"))
    lists = ("/ui?", "/ui/calls?", "/ui/keys/audit?", "/ui/search?q=a&")
    answers += [await reader.get(f"{address}cursor=x") for address in lists]
    some = await tell_long(paged.services.database, NOW, 2)
    downloads = ("/ui/download", f"/ui/c/{some}/download")
    answers += [await reader.get(f"{address}?format=zzz") for address in downloads]

    assert [one.status_code for one in answers] == [422, 404, 422, 422, 422, 200, *[422] * 13]
    for answer in answers:
        said = told_in(answer.text).replace(", ".join(FORMATS), "json")
        for foreign in ("Value error", "Input should", "invalid literal", "validation", "List sh"):
            assert foreign not in said
        if language == "zh":
            assert ENGLISH.findall(said) == [], said
        else:
            assert ENGLISH.search(said)


async def test_attachments_have_names_for_readers(paged: Api, reader: Reader) -> None:
    """They are called what they are in the reader's language; an unknown type keeps its name."""
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
        {"type": "input_audio", "input_audio": {"data": "no base64", "format": "wav"}},
        {"type": "file", "file": {"filename": "报告.pdf"}},
        {"type": "hologram", "hologram": "x"},
    ]
    said = [spoken("user", parts, NOW)]
    number = await tell(paged.services.database, "parts", "ann", said, when=NOW)

    shown = (await reader.get(f"/ui/c/{number}", Accept_Language="zh-CN")).text

    for told in ("图片: https://a.example/x.png", "音频: wav", "文件: 报告.pdf", "hologram: x"):
        assert told in shown
    assert "image_url" not in shown


async def test_several_of_one_role_are_told_apart(paged: Api, reader: Reader) -> None:
    """A result says what was called, when its id was last used; a message of a name, who speaks."""
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    other = {**call, "function": {"name": "news", "arguments": "{}"}}
    said = [
        spoken("user", "Go on", NOW, name="Bob <b>"),
        spoken("assistant", None, NOW, tool_calls=[call]),
        spoken("tool", "sunny", NOW, tool_call_id="c1"),
        spoken("assistant", None, NOW, tool_calls=[other]),
        spoken("tool", "none", NOW, tool_call_id="c1"),
        spoken("tool", "lost", NOW, tool_call_id="c2"),
        spoken("function", "4", NOW, name="sum"),
    ]
    number = await tell(paged.services.database, "several", "ann", said, when=NOW)

    shown = (await reader.get(f"/ui/c/{number}")).text

    assert re.findall("<summary>(Result.*?)</summary>", shown) == [
        "Result of weather",
        "Result of news",
        "Result of the tool",
        "Result of sum",
    ]
    assert "<h2>User</h2><span><bdi>Bob &lt;b&gt;</bdi></span>" in shown


async def test_what_is_copied_is_there_as_it_was_written(paged: Api, reader: Reader) -> None:
    """It stands beside what is shown, unless it is all of that, and shown as it was written.

    What is too long to be shown whole is not offered to be copied, which would be a part of it.
    """
    said = [
        spoken("user", "Plain words.", NOW),
        spoken("assistant", "**Bold** words", NOW),
        spoken("assistant", "Words after a thought", NOW, reasoning_content="Hm"),
        spoken("tool", "sunny", NOW, tool_call_id="c1"),
    ]
    number = await tell(paged.services.database, "copied", "ann", said, when=NOW)

    long = [spoken("user", "long " * 40_001, NOW)]
    other = await tell(paged.services.database, "long", "ann", long, when=NOW)

    shown = (await reader.get(f"/ui/c/{other}")).text
    assert "An export has all of it." in shown
    assert 'data-copy="message"' not in shown

    shown = (await reader.get(f"/ui/c/{number}")).text
    assert re.findall("<template>(.*?)</template>", shown) == [
        "**Bold** words",
        "Words after a thought",
        "sunny",
    ]

"""One whole application for many tests: two workspaces, keys of all kinds, texts nobody may see.

The application is the real one, hot path, recorder and upstream included; only its socket is left
out, so that a matrix of hundreds of calls takes seconds.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import uuid4

import httpx
from tests.journey.wires import PATIENCE
from tests.upstream import ScriptedUpstream

from officeai_proxy.app import Application, create_app
from officeai_proxy.auth.keys import digest, new_key
from officeai_proxy.model import ApiKey, Scope
from officeai_proxy.settings import load_settings
from officeai_proxy.storage.access.api_keys import ApiKeyRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import prepare

OURS, THEIRS = "team-ours", "team-them"

ANN, BOB = "ann", "bob"
"""Two users of our workspace; a key is bound to the first."""

SECRET = "zqsecret"
"""In every text that stands in their workspace, and in no name that a stranger could guess."""

BOBS_SECRET = "zqbobsown"
"""In every text of Bob's."""

EVERYTHING = frozenset(Scope)


@dataclass(frozen=True)
class Principal:
    """Somebody with a key, or without."""

    name: str
    workspace: str = OURS
    scopes: frozenset[Scope] = EVERYTHING
    user: str | None = None
    key: str = field(default_factory=new_key, repr=False)
    id: str = field(default_factory=lambda: f"key_{uuid4().hex[:12]}")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What this one must never see."""
        if self.workspace == THEIRS:
            return ()
        return (SECRET,) if self.user is None else (SECRET, BOBS_SECRET)


CHIEF = Principal("chief")
MEMBER = Principal("member", scopes=EVERYTHING - {Scope.ADMIN})
BOUND = Principal("bound", user=ANN)
BOBS = Principal("bobs", user=BOB)
STRANGER = Principal("stranger", workspace=THEIRS)
EXPIRED = Principal("expired")
REVOKED = Principal("revoked")
UNKNOWN = Principal("unknown")
WITHOUT = {scope: Principal(f"no-{scope}", scopes=EVERYTHING - {scope}) for scope in Scope}
ONLY = {scope: Principal(f"only-{scope}", scopes=frozenset({scope})) for scope in Scope}

KNOWN = [CHIEF, MEMBER, BOUND, BOBS, STRANGER, *WITHOUT.values(), *ONLY.values()]


@dataclass(frozen=True)
class Names:
    """How one thing of each kind is called."""

    session: str
    user: str
    exchange: str
    key: str
    word: str
    model: str
    workspace: str


@dataclass
class Estate:
    """The running application, and what was put into it."""

    application: Application
    exchanges: dict[str, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(100))
    clients: dict[str | None, httpx.AsyncClient] = field(default_factory=dict)
    lasting: dict[str, Names] = field(default_factory=dict)

    def client(self, principal: Principal | None) -> httpx.AsyncClient:
        """A client of *principal*, or one without a key."""
        return self.with_header(f"Bearer {principal.key}" if principal else None)

    def with_header(self, authorization: str | None) -> httpx.AsyncClient:
        """A client that sends this `Authorization`, from an address of its own."""
        if authorization not in self.clients:
            self.clients[authorization] = self.stranger(authorization)
        return self.clients[authorization]

    def stranger(self, authorization: str | None = None) -> httpx.AsyncClient:
        """A client from an address that nobody ever called from; floods of others do not count."""
        number = next(self.numbers)
        transport = httpx.ASGITransport(
            self.application,
            raise_app_exceptions=False,
            client=(f"10.1.{number // 250}.{number % 250}", 40_000),
        )
        headers = {} if authorization is None else {"Authorization": authorization}
        return httpx.AsyncClient(
            transport=transport, base_url="http://test", headers=headers, timeout=PATIENCE
        )

    async def put(
        self,
        owner: Principal,
        session: str,
        *,
        user: str,
        secret: str = "",
        binned: bool = False,
    ) -> None:
        """Store a conversation of two messages; each text holds *secret*."""
        client = self.client(owner)
        conversation = {
            "session_id": session,
            "user_identifier": user,
            "title": f"title {secret}",
            "metadata": {"note": secret},
        }
        made = await client.post("/conversations/", json=conversation)
        assert made.status_code == 201, made.text
        messages = [
            {"role": "user", "content": f"question {secret}", "model_name": f"m-{secret}"},
            {"role": "assistant", "content": f"answer {secret}", "metadata": {"n": secret}},
        ]
        added = await client.post(f"/conversations/{session}/messages", json=messages)
        assert added.status_code == 201, added.text
        if binned:
            removed = await client.delete(f"/conversations/{session}")
            assert removed.status_code == 204, removed.text

    async def call(self, owner: Principal, session: str, *, user: str, text: str) -> str:
        """Make a recorded call; the id of its exchange."""
        answer = await self.client(owner).post(
            "/v1/chat/completions",
            json={"model": f"model-{owner.workspace}", "messages": [_said(text)]},
            headers={"X-Session-ID": session, "X-User-ID": user},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.headers["x-exchange-id"])

    async def own(self, *, lasting: bool = False, binned: bool = False) -> Names:
        """Things of our workspace: new ones, or those that are only ever read; *binned*: the
        conversation is in the bin.
        """
        if lasting and "own" in self.lasting:
            return self.lasting["own"]
        number = next(self.numbers)
        names = Names(
            session=f"s-own-{number}",
            user=f"u-own-{number}",
            exchange=self.exchanges[OURS],
            key=await self.spare_key(OURS, f"key_own{number}"),
            word="question",
            model="m-",
            workspace=OURS,
        )
        await self.put(CHIEF, names.session, user=names.user, binned=binned)
        if lasting:
            self.lasting["own"] = names
        return names

    async def foreign(
        self, principal: Principal, *, lasting: bool = False, binned: bool = False
    ) -> Names:
        """Things that are none of *principal*'s business: another workspace's, another user's.

        They are as long as those of `unknown`, so that answers can be compared byte for byte.
        """
        if lasting and principal.name in self.lasting:
            return self.lasting[principal.name]
        number = next(self.numbers)
        names = Names(
            session=f"s-for-{number}",
            user=f"u-for-{number}",
            exchange=self.exchanges[THEIRS],
            key=await self.spare_key(THEIRS, f"key_for{number}"),
            word=SECRET,
            model=f"m-{SECRET}",
            workspace=THEIRS,
        )
        if principal.user is not None:
            names = replace(
                names,
                session=f"s-bob-{number}",
                user=BOB,
                exchange=self.exchanges[BOB],
                word=BOBS_SECRET,
                model=f"m-{BOBS_SECRET}",
            )
        owner = STRANGER if principal.user is None else BOBS
        await self.put(owner, names.session, user=names.user, secret=names.word, binned=binned)
        if lasting:
            self.lasting[principal.name] = names
        return names

    async def spare_key(self, workspace: str, key_id: str) -> str:
        """The id of a new key that nobody uses."""
        async with self.database.write() as connection:
            await ApiKeyRepository(connection).add(
                _api_key(Principal("spare", workspace, id=key_id))
            )
        return key_id

    @property
    def database(self) -> Database:
        """The application's own."""
        database: Database = self.application.routes.state.services.database
        return database

    def unknown(self, foreign: Names) -> Names:
        """Things that are nowhere, with names as long as those of *foreign*."""
        exchange = foreign.exchange[:-4] + "0000"
        return Names(
            session=foreign.session.replace("-for-", "-unk-").replace("-bob-", "-unk-"),
            user=foreign.user.replace("-for-", "-unk-").replace(BOB, "nil"),
            exchange=exchange,
            key=foreign.key.replace("for", "unk"),
            word=foreign.word.replace("zq", "qz"),
            model=foreign.model.replace("zq", "qz"),
            workspace="team-none",
        )

    async def fingerprint(self, names: Names, owner: Principal) -> object:
        """All that is stored under *names*, as its owner sees it."""
        client = self.client(owner)
        conversation = await client.get(f"/conversations/{names.session}")
        listed = await client.get(f"/conversations?user_identifier={names.user}&deleted=with")
        assert names.session in listed.text
        async with self.database.read() as connection:
            keys = await ApiKeyRepository(connection).all()
        return conversation.text, listed.text, [key for key in keys if key.id == names.key]


def _api_key(one: Principal) -> ApiKey:
    now = datetime.now(UTC)
    return ApiKey(
        id=one.id,
        name=f"{one.name} {SECRET if one.workspace == THEIRS else ''}",
        digest=digest(one.key),
        hint="…",
        workspace=one.workspace,
        scopes=one.scopes,
        created_at=now - timedelta(days=2),
        user=one.user,
        expires_at=now - timedelta(days=1) if one is EXPIRED else None,
        revoked_at=now - timedelta(days=1) if one is REVOKED else None,
    )


def _said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def _store_keys(url: str) -> None:
    database = Database(url)
    await prepare(database)
    async with database.write() as connection:
        for one in (*KNOWN, EXPIRED, REVOKED):
            await ApiKeyRepository(connection).add(_api_key(one))
    await database.close()


@asynccontextmanager
async def opened(folder: Path, database_url: str) -> AsyncIterator[Estate]:
    """The application with its data in *folder* and in the database, until the block ends."""
    await _store_keys(database_url)
    with ScriptedUpstream() as upstream:
        settings = load_settings(
            upstream_base_url=upstream.base_url,
            upstream_api_key="sk-upstream-secret",
            database_url=database_url,
            data_dir=folder,
            log_level="debug",
            max_exports=100,
            _env_file=None,
        )
        application = create_app(settings)
        routes = application.routes
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(routes.router.lifespan_context(routes))
            estate = Estate(application)
            await _furnish(estate)
            yield estate
            for client in estate.clients.values():
                await client.aclose()


async def _furnish(estate: Estate) -> None:
    """A call of each party, so that the call log and the numbers are not empty."""
    calls = {
        OURS: (CHIEF, "s-call", ANN, "hello"),
        THEIRS: (STRANGER, "s-call", ANN, f"hello {SECRET}"),
        BOB: (BOBS, "s-bobs-call", BOB, f"hello {BOBS_SECRET}"),
    }
    for name, (owner, session, user, text) in calls.items():
        estate.exchanges[name] = await estate.call(owner, session, user=user, text=text)
    answers = [await estate.client(one).get("/history") for one in (CHIEF, STRANGER)]
    assert sum(len(answer.json()["history"]) for answer in answers) == len(calls)

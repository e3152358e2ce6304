"""The route of the audit log: who did what to whose what, when, from where; newest first."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.config import JsonDict

from officeai_proxy.api.answers import JsonAnswer, problems
from officeai_proxy.api.bodies import JsonRoute
from officeai_proxy.api.dependencies import Administrator, Fresh
from officeai_proxy.api.lists import ListFrame, example_of, frame
from officeai_proxy.api.paging import page_request
from officeai_proxy.api.trails import audited
from officeai_proxy.api.values import (
    NAME_SCHEMA,
    Cursor,
    Limit,
    MomentQuery,
    Offset,
    TextQuery,
    label_or_none,
)
from officeai_proxy.audit import Trail
from officeai_proxy.auth.permissions import check_user
from officeai_proxy.model import Caller
from officeai_proxy.storage.audit.chain import Action, Row
from officeai_proxy.storage.audit.log import AuditFilter, AuditRepository, detail_of
from officeai_proxy.storage.paging import Page, PageRequest

router = APIRouter(tags=["Audit"], route_class=JsonRoute, default_response_class=JsonAnswer)

_ROW: JsonDict = {
    "id": 17,
    "at": "2026-01-31T12:00:05.250000Z",
    "actor": "key_0123456789abcdef",
    "action": "conversation.read",
    "user_identifier": "user123",
    "target_kind": "conversation",
    "target": "demo-session",
    "detail": {"messages": 2},
    "client_ip": "192.0.2.7",
    "workspace": "default",
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


class AuditRowOut(BaseModel):
    """Something that was done. Names are null where a person was erased, or nothing was there."""

    model_config = ConfigDict(json_schema_extra={"example": _ROW})

    id: int = Field(description="Its number in the log, which has no gaps over all workspaces.")
    at: datetime = Field(description="When, UTC.")
    actor: str = Field(description="The id of the key, or `command-line`, or `retention`.")
    action: str = Field(description="Such as `conversation.read`.")
    user_identifier: str | None = Field(description="Whose data it was.")
    target_kind: str = Field(description="What kind of thing `target` names.")
    target: str | None = Field(description="A session, a user or the id of a key.")
    detail: dict[str, str | int] = Field(description="Names of ours and numbers.")
    client_ip: str | None = Field(description="From where; null for the command line.")
    workspace: str | None = Field(description="In which workspace; null for all of them.")
    hash: str = Field(description="SHA-256 over the row and the hash of the row before it.")

    @classmethod
    def of(cls, row: Row) -> Self:
        """The answer that tells *row*."""
        return cls.model_validate({**asdict(row), "detail": detail_of(row), "hash": row.hash.hex()})


class AuditList(ListFrame):
    """A page of the audit log."""

    model_config = ConfigDict(json_schema_extra={"example": example_of(_ROW)})

    data: list[AuditRowOut] = Field(description="What was done, newest first.")

    @classmethod
    def of(cls, page: Page[Row], wanted: PageRequest) -> Self:
        """The answer that tells *page*, which *wanted* asked for."""
        return cls(data=[AuditRowOut.of(row) for row in page.items], **frame(page, wanted))


@dataclass(frozen=True, slots=True)
class Filters:
    """What the audit log may be narrowed down to."""

    actor: Annotated[TextQuery, Query(description="Only what this key did; its id.")] = None
    action: Annotated[Action | None, Query(description="Only this.")] = None
    user: Annotated[
        str | None,
        AfterValidator(label_or_none("user")),
        WithJsonSchema(NAME_SCHEMA),
        Query(description="Only about this user; also the rows which prove that they were erased."),
    ] = None
    after: MomentQuery = None
    before: MomentQuery = None

    def of(self, caller: Caller) -> AuditFilter:
        """The same in storage's words, within what *caller* may see."""
        return AuditFilter(
            actor=self.actor,
            action=None if self.action is None else self.action.value,
            user=check_user(caller, self.user, param="user"),
            after=self.after,
            before=self.before,
        )


@router.get("/audit", summary="List what was done", responses=problems())
async def list_audit(
    filters: Annotated[Filters, Depends()],
    trail: Annotated[Trail, audited(Action.LIST_AUDIT)],
    caller: Administrator,
    services: Fresh,
    limit: Limit = 100,
    offset: Offset = 0,
    cursor: Cursor = None,
) -> AuditList:
    """Who read, exported, changed or deleted what in this workspace, when, and from where."""
    wanted = page_request(limit=limit, offset=offset, cursor=cursor)
    async with services.database.read() as connection:
        page = await AuditRepository(connection, caller).page(filters.of(caller), wanted)
    # Who looks for the proof that somebody was erased must not bring the name back by that.
    user = filters.of(caller).user
    await trail.leave(user=user, detail={"rows": len(page.items)}, is_sealed=user is not None)
    return AuditList.of(page, wanted)

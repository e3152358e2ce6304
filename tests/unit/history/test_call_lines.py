"""Lines of the call log, as JSON and as a table."""

import csv
import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from tests.passages import FORMULAS

from officeai_proxy.history.call_lines import (
    CallLine,
    ServiceType,
    as_jsonl,
    csv_head,
    csv_rows,
    service_type,
)
from officeai_proxy.model import CallRecord, Outcome, Usage
from officeai_proxy.wire import jsontext


def a_record(**more: Any) -> CallRecord:
    fields: dict[str, Any] = {
        "exchange_id": UUID(int=7),
        "workspace": "default",
        "key_id": "configured-1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "upstream": "api.openai.com",
        "started_at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "latency_ms": 12.5,
        "outcome": Outcome.COMPLETE,
        "client_ip": "127.0.0.1",
    }
    return CallRecord(**{**fields, **more})


def rows(*lines: CallLine) -> list[dict[str, str]]:
    text = csv_head() + csv_rows(lines)
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_run_as_a_formula(text: str):
    """A cell that a spreadsheet would run gets an apostrophe in front, as in exports."""
    [row] = rows(CallLine.of(a_record(user=text)))

    assert row["user"] == "'" + text


def test_an_empty_table_has_its_header():
    """No call is a table without rows, and not nothing."""
    assert csv_head().startswith("\ufefftime,api,service_name,")
    assert as_jsonl([]) == ""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/chat/completions", ServiceType.CHAT),
        ("/v1/chat/completions/abc?x=1", ServiceType.CHAT),
        ("/v1/responses", ServiceType.RESPONSES),
        ("/v1/completions", ServiceType.COMPLETIONS),
        ("/v1/embeddings", ServiceType.EMBEDDINGS),
        ("/v1/models/gpt-4o", ServiceType.MODELS),
        ("/v1/models?limit=1", ServiceType.MODELS),
        ("/v1/audio/speech", ServiceType.OTHER),
        ("/v1/chatter", ServiceType.OTHER),
        ("/", ServiceType.OTHER),
    ],
)
def test_the_path_tells_the_kind(path: str, kind: ServiceType):
    """What kind of call it was follows from its path."""
    assert service_type(path) is kind


def test_a_line_has_what_the_log_promises():
    """Every documented field is there; the served model wins over the one asked for."""
    line = CallLine.of(
        a_record(
            model_asked="officeai",
            model_served="gpt-4o",
            status=200,
            stream=True,
            usage=Usage(15, 120, 135),
        )
    ).model_dump(mode="json")

    assert line["time"] == "2026-01-31T12:00:00Z"
    assert line["params"] == {"model": "officeai", "stream": True}
    assert line["result"] == {"status_code": 200}
    assert line["model"] == "gpt-4o"
    assert line["total_tokens"] == 135
    assert line["exchange_id"] == "00000000-0000-0000-0000-000000000007"


def test_a_call_that_was_told_nothing_has_no_status():
    """Absence is null, in JSON, and an empty cell in the table."""
    line = CallLine.of(a_record(model_asked="officeai"))

    assert line.result.status_code is None
    assert line.model == "officeai"
    assert rows(line)[0]["status_code"] == ""


def test_jsonl_is_an_object_a_line():
    """Each line of JSON Lines is one call, whatever its texts hold."""
    text = as_jsonl([CallLine.of(a_record(error="a\nb")), CallLine.of(a_record())])

    lines = text.splitlines()
    assert [isinstance(jsontext.loads(line), dict) for line in lines] == [True, True]


def test_negative_numbers_stay_numbers():
    """Only text is defused."""
    assert rows(CallLine.of(a_record(cost=-1.5)))[0]["cost"] == "-1.5"

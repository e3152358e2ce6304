"""A program with the OpenAI SDK for Python, run with its version 2 and with its version 3.

It calls the proxy named by OPENAI_BASE_URL as a user's program would, and prints what it saw.
"""

import asyncio
import json
import os

import openai
from openai import AsyncOpenAI, DefaultHttpxClient, OpenAI

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def ask(text, **more):
    return {"model": "officeai", "messages": [{"role": "user", "content": text}], **more}


def chat(client):
    reply = client.chat.completions.create(**ask("hello"))
    return {"text": reply.choices[0].message.content, "tokens": reply.usage.total_tokens}


def stream(client):
    chunks = list(client.chat.completions.create(**ask("stream", stream=True)))
    return {
        "text": "".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
        "chunks": len(chunks),
        "tokens": chunks[-1].usage.total_tokens,
    }


def tools(client):
    messages = [{"role": "user", "content": "call the tool"}]
    first = client.chat.completions.create(model="officeai", messages=messages, tools=[TOOL])
    call = first.choices[0].message.tool_calls[0]
    messages += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    second = client.chat.completions.create(model="officeai", messages=messages, tools=[TOOL])
    return {"name": call.function.name, "text": second.choices[0].message.content}


def raised(call):
    """The class, status and code of what *call* raises."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever a user would see
        # A stream that breaks off raises the HTTP library's own error, not one of the SDK's.
        return {
            "class": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "code": getattr(error, "code", None),
        }
    return None


def errors(client):
    def with_text(text):
        return lambda: client.chat.completions.create(**ask(text))

    def listed(stream):
        return lambda: list(client.chat.completions.create(**ask(stream, stream=True)))

    wrong_key = client.with_options(api_key="sk-wrong")
    bad_session = {"X-Session-ID": "a/b"}
    return {
        "wrong key": raised(lambda: wrong_key.models.list()),
        "bad session": raised(
            lambda: client.chat.completions.create(**ask("x"), extra_headers=bad_session)
        ),
        "unknown model": raised(with_text("fail 404")),
        "too many": raised(with_text("fail 429")),
        "server": raised(with_text("fail 500")),
        "upstream's key": raised(with_text("fail 401")),
        "breaks off": raised(listed("break off")),
        "error inside": raised(listed("error inside")),
    }


async def concurrently():
    async with AsyncOpenAI(max_retries=0) as client:
        replies = await asyncio.gather(
            *(client.chat.completions.create(**ask(f"n{n}")) for n in range(20))
        )
    return [reply.choices[0].message.content for reply in replies]


def foreign():
    """The session of a call whose names are not ASCII, which the SDK takes no other way."""
    names = {"X-Session-ID": "行程".encode(), "X-User-ID": "张三".encode()}
    # Headers of the environment win over those of the HTTP client; this is the last call.
    del os.environ["OPENAI_CUSTOM_HEADERS"]
    with OpenAI(max_retries=0, http_client=DefaultHttpxClient(headers=names)) as client:
        answer = client.chat.completions.with_raw_response.create(**ask("hello"))
    # Read as UTF-8 or as Latin-1, whatever the HTTP library makes of it.
    named = answer.headers["x-session-id"]
    return named if named == "行程" else named.encode("latin-1").decode()


def main():
    client = OpenAI(max_retries=0)
    print(
        json.dumps(
            {
                "version": openai.__version__,
                "models": [model.id for model in client.models.list()],
                "chat": chat(client),
                "stream": stream(client),
                "tools": tools(client),
                "errors": errors(client),
                "concurrently": asyncio.run(concurrently()),
                "foreign": foreign(),
            }
        )
    )


main()

"""Files by the API: brought, read, said to a bot, sent by the team; and whose they are."""

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from typing import Any

import aiohttp
import pytest

from gateway.domain.files import PIECE_BYTES
from tests.api.native.conftest import Start
from tests.api.native.gateway import OTHER, Client, Gateway, Reply

EDGE = "edge"
FORM = f"multipart/form-data; boundary={EDGE}"


def form(
    data: bytes, *, name: str = "notes.txt", mime: str = "text/plain", field: str = "file"
) -> dict[str, Any]:
    """A form with a file, as browsers write it."""
    raw = (
        f'--{EDGE}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nchat\r\n'
        f'--{EDGE}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        f"Content-Type: {mime}\r\n\r\n"
    ).encode() + data
    raw += f"\r\n--{EDGE}--\r\n".encode()
    return {"raw": raw, "Content_Type": FORM}


async def upload(client: Client, data: bytes = b"words", **fields: Any) -> Reply:
    """Bring a file."""
    return await client.call("POST", "/v1/files", **form(data, **fields))


async def uploaded(client: Client, data: bytes = b"words", **fields: Any) -> str:
    """The id of a file that was brought."""
    reply = await upload(client, data, **fields)
    assert reply.status == 201, reply.body
    return str(reply.json["id"])


async def test_a_file_is_given_back_as_it_was_brought(gateway: Gateway) -> None:
    data = bytes(range(256)) * (PIECE_BYTES // 100)

    reply = await upload(gateway.api, data, name="dump.bin", mime="text/plain")

    assert reply.status == 201
    told = reply.json
    assert reply.headers["Location"] == f"/v1/files/{told['id']}"
    assert (told["object"], told["name"], told["size_bytes"]) == ("file", "dump.bin", len(data))
    assert told["sha256"] == hashlib.sha256(data).hexdigest()
    assert (await gateway.api.get(f"/v1/files/{told['id']}")).json == told
    assert (await gateway.api.get(f"/v1/files/{told['id']}/content")).body == data


async def test_bytes_go_out_as_a_download_whatever_they_are(gateway: Gateway) -> None:
    page = b"<html><script>alert(1)</script></html>"
    file_id = await uploaded(gateway.api, page, name='x".html', mime="text/html")

    for method in ("GET", "HEAD"):
        reply = await gateway.api.call(method, f"/v1/files/{file_id}/content")

        assert reply.headers["Content-Type"] == "application/octet-stream"
        assert reply.headers["Content-Disposition"].startswith("attachment;")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Content-Length"] == str(len(page))


async def test_the_bytes_say_what_a_file_is(gateway: Gateway) -> None:
    file_id = await uploaded(gateway.api, b"GIF89a....", mime="application/pdf")

    told = (await gateway.api.get(f"/v1/files/{file_id}")).json

    assert (told["mime"], told["kind"]) == ("image/gif", "image")


BROKEN = {
    "no form": ({"raw": b"{}", "Content_Type": "application/json"}, 415),
    "no boundary": ({"raw": b"x", "Content_Type": "multipart/form-data"}, 400),
    "other boundary": ({"raw": b"--a\r\n", "Content_Type": "multipart/form-data; boundary=b"}, 400),
    "other field": (form(b"x", field="thing"), 422),
    "no field": (
        {"raw": b"--edge--\r\n", "Content_Type": FORM},
        422,
    ),
    "cut off": ({**form(b"x" * 100), "raw": form(b"x" * 100)["raw"][:-40]}, 400),
    "broken head": (
        {
            "raw": b"--edge\r\nno head at all\r\n\r\nx\r\n--edge--\r\n",
            "Content_Type": FORM,
        },
        400,
    ),
    "nothing": ({"raw": b"", "Content_Type": FORM}, 400),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_what_is_no_form_with_a_file_is_refused(gateway: Gateway, case: str) -> None:
    request, status = BROKEN[case]

    reply = await gateway.api.call("POST", "/v1/files", None, **request)

    assert reply.status == status, reply.body
    assert await pieces(gateway) == 0


async def test_a_file_over_the_limit_is_refused_and_leaves_nothing(start: Start) -> None:
    async with start(limits={"file_bytes": 2 * PIECE_BYTES}) as gateway:
        assert (await upload(gateway.api, b"x" * 2 * PIECE_BYTES)).status == 201
        before = await pieces(gateway)

        declared = await upload(gateway.api, b"x" * 3 * PIECE_BYTES)
        undeclared = await upload(gateway.api, b"x" * (2 * PIECE_BYTES + 1))

        assert (declared.status, declared.code) == (413, "body_too_large")
        assert (undeclared.status, undeclared.code) == (413, "body_too_large")
        assert await pieces(gateway) == before


async def test_a_file_that_comes_too_slowly_is_refused_and_leaves_nothing(start: Start) -> None:
    async with start(body_timeout_s=0.3) as gateway:
        request = form(b"x" * 2 * PIECE_BYTES)

        async def slow() -> Any:
            yield request["raw"][: PIECE_BYTES + 1000]
            await asyncio.Event().wait()

        headers = {
            "Authorization": f"Bearer {gateway.api.key}",
            "Content-Type": request["Content_Type"],
        }
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{gateway.url}/v1/files", data=slow(), headers=headers) as response,
        ):
            assert response.status == 400
            assert (await response.json())["code"] == "body_too_slow"
        assert await pieces(gateway) == 0


async def test_files_of_another_project_do_not_exist(gateway: Gateway) -> None:
    theirs = await gateway.client(OTHER)
    file_id = await uploaded(theirs)
    session = await gateway.api.new_session()
    parts = [{"type": "file", "file_id": file_id}]

    replies = [
        await gateway.admin.get(f"/v1/files/{file_id}"),
        await gateway.admin.get(f"/v1/files/{file_id}/content"),
        await gateway.admin.call("POST", f"/v1/sessions/{session}/send", {"content": parts}),
        await gateway.admin.call("POST", "/v1/chat", {"input": parts}),
    ]

    assert [reply.status for reply in replies] == [404] * 4


async def test_a_key_for_one_bot_reaches_no_file_of_another_bots_talks(gateway: Gateway) -> None:
    sales = await gateway.client(bots=frozenset({"sales"}))
    file_id = await uploaded(gateway.api)
    assert (await sales.get(f"/v1/files/{file_id}")).status == 200

    await gateway.api.post("/v1/chat", {"input": [{"type": "file", "file_id": file_id}]})

    assert (await sales.get(f"/v1/files/{file_id}")).status == 404
    assert (await sales.get(f"/v1/files/{file_id}/content")).status == 404


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("files:read", "POST", "/v1/files"),
        ("files:write", "GET", "/v1/files/file_0"),
        ("files:write", "GET", "/v1/files/file_0/content"),
        ("files:write", "POST", "/v1/sessions/ses_0/send"),
    ],
)
async def test_each_call_needs_its_scope(
    gateway: Gateway, scope: str, method: str, path: str
) -> None:
    client = await gateway.client(scopes=frozenset({scope}))

    assert (await client.call(method, path)).status == 403


async def test_a_document_said_to_a_bot_is_read(gateway: Gateway) -> None:
    file_id = await uploaded(gateway.api, b"The answer is 42.")
    content = [{"type": "text", "text": "See."}, {"type": "file", "file_id": file_id}]

    reply = await gateway.api.post("/v1/chat", {"input": content})

    assert reply.status == 200, reply.body
    assert "The answer is 42." in reply.json["output_text"]
    path = f"/v1/sessions/{reply.json['session_id']}/messages?order=asc"
    said = (await gateway.api.get(path)).json["data"][0]["content"]
    assert (said[1]["file_id"], said[1]["name"]) == (file_id, "notes.txt")
    assert said[1]["refusal"] is None


async def test_a_file_that_a_bot_cannot_read_is_refused_in_words(gateway: Gateway) -> None:
    file_id = await uploaded(gateway.api, b"PK\x03\x04" + b"\xff" * 50, name="x.zip")

    reply = await gateway.api.post("/v1/chat", {"input": [{"type": "file", "file_id": file_id}]})

    assert reply.status == 200, reply.body
    assert reply.json["output_text"] == ("I could not read “x.zip”: I can take text documents.")


@pytest.mark.parametrize(
    "content",
    [
        "",
        " ",
        [],
        [{"type": "file"}],
        [{"type": "text"}],
        [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}],
        7,
    ],
    ids=["empty", "blank", "nothing", "no id", "no text", "picture", "number"],
)
async def test_nothing_of_use_is_not_sent(gateway: Gateway, content: Any) -> None:
    session = await gateway.api.new_session()

    reply = await gateway.api.post(f"/v1/sessions/{session}/send", {"content": content})

    assert reply.status == 422


async def test_what_the_team_sends_stands_in_the_transcript_and_asks_no_model(
    gateway: Gateway,
) -> None:
    session = (await gateway.api.say("Hello")).json["session_id"]
    file_id = await uploaded(gateway.api)
    content = [{"type": "text", "text": "Here."}, {"type": "file", "file_id": file_id}]

    reply = await gateway.api.post(f"/v1/sessions/{session}/send", {"content": content})

    assert reply.status == 202, reply.body
    assert (reply.json["role"], reply.json["seq"]) == ("operator", 3)
    assert [part["type"] for part in reply.json["content"]] == ["text", "file"]
    turn = (await gateway.api.get(f"/v1/turns/{reply.json['turn_id']}")).json
    assert (turn["status"], turn["model"]) == ("completed", None)


async def test_a_repeated_send_is_written_once(gateway: Gateway) -> None:
    session = await gateway.api.new_session()
    path, body = f"/v1/sessions/{session}/send", {"content": "Hello."}

    first = await gateway.api.post(path, body, Idempotency_Key="k1")
    again = await gateway.api.post(path, body, Idempotency_Key="k1")
    other = await gateway.api.post(path, {"content": "Bye."}, Idempotency_Key="k1")

    assert first.json == again.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.status == 422
    assert len((await gateway.api.get(f"/v1/sessions/{session}/messages")).json["data"]) == 1


async def test_an_ended_session_takes_nothing(gateway: Gateway) -> None:
    session = await gateway.api.new_session()
    await gateway.api.post(f"/v1/sessions/{session}/end")

    reply = await gateway.api.post(f"/v1/sessions/{session}/send", {"content": "Hello."})

    assert (reply.status, reply.code) == (409, "session_ended")


async def pieces(gateway: Gateway) -> int:
    """How many pieces of files are stored."""
    (database,) = gateway.data.rglob("gateway.db")
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM file_piece").fetchone()[0])

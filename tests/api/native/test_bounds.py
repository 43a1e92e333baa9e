"""Bounds of the queue over REST: each is told by its own status, before anything is stored."""

import pytest

from tests.api.native.conftest import Start


@pytest.mark.parametrize(
    ("limit", "same_session", "status", "code"),
    [
        ("queued_per_session", True, 409, "session_busy"),
        ("queued_per_project", False, 429, "rate_limited"),
        ("queued", False, 503, "overloaded"),
    ],
    ids=["session", "project", "overall"],
)
async def test_one_message_too_many_is_refused_and_leaves_nothing(
    start: Start, limit: str, same_session: bool, status: int, code: str
) -> None:
    async with start(limits={limit: 1, "turns": 1}) as gateway:
        session = (await gateway.api.say("slow", background=True)).json["session_id"]
        await gateway.api.post(
            f"/v1/sessions/{session}/messages", {"input": "next", "background": True}
        )
        before = (await gateway.api.get("/v1/sessions")).json["data"]

        path = f"/v1/sessions/{session}/messages" if same_session else "/v1/chat"
        refused = await gateway.api.post(path, {"input": "too many", "background": True})

        assert (refused.status, refused.json["code"]) == (status, code)
        assert int(refused.headers["Retry-After"]) >= 1
        assert len((await gateway.api.get("/v1/sessions")).json["data"]) == len(before)

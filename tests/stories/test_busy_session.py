"""A session that is written to faster than it answers: a bounded queue, then a clear refusal."""

from pathlib import Path

from gateway.testing import OpenAIServer, Silence
from gateway.testing.scene import DESK, PATIENCE_S, over_endpoint, serving

QUEUE = 20


async def test_twenty_messages_wait_and_the_next_is_refused_with_a_time_to_come_back(
    tmp_path: Path,
) -> None:
    async with (
        OpenAIServer() as model,
        serving(tmp_path, over_endpoint(model) + DESK) as (_, caller),
    ):
        model.enqueue(Silence())
        session = (await caller.say("hold", background=True))["session_id"]
        await model.wait_for_calls(1, timeout_s=PATIENCE_S)

        path = f"/v1/sessions/{session}/messages"
        answers = [
            await caller.call("POST", path, {"input": f"message {n}", "background": True})
            for n in range(25)
        ]

        assert [answer.status for answer in answers] == [202] * QUEUE + [409] * 5
        refusal = answers[-1]
        assert refusal.headers["Content-Type"].startswith("application/problem+json")
        assert refusal.json["code"] == "session_busy"
        assert int(refusal.headers["Retry-After"]) >= 1
        assert len(await caller.texts(session, role="user")) == 1 + QUEUE
        assert (await caller.say("Somewhere else"))["output_text"] == "echo: Somewhere else"

"""Fakes to test bots, channels and the whole daemon with: real servers, scripted, on loopback.

A fake model endpoint in the format of the OpenAI API:

    async with OpenAIServer() as model:
        model.enqueue("Good morning.", too_many_requests(2), Reply(tool_calls=(ToolCall("clock"),)))
        ...                                  # let the code under test call model.base_url
        assert model.calls[0].last_text == "Hi"
        assert model.problems == []          # every request kept the rules of the API

Without a queued answer the endpoint asks its `script`, a function of the call, and without one it
echoes. Longer examples are in docs/testing-kit.md.
"""

from gateway.testing.openai_endpoint import ModelCall, OpenAIServer, Script
from gateway.testing.openai_replies import (
    Answer,
    Drip,
    EmptyChoices,
    ErrorEvent,
    Garbage,
    HangUp,
    HttpError,
    Reply,
    Silence,
    ToolCall,
    Truncated,
    Usage,
    huge_reply,
    too_many_requests,
    unknown_model,
    wrong_key,
)

__all__ = [
    "Answer",
    "Drip",
    "EmptyChoices",
    "ErrorEvent",
    "Garbage",
    "HangUp",
    "HttpError",
    "ModelCall",
    "OpenAIServer",
    "Reply",
    "Script",
    "Silence",
    "ToolCall",
    "Truncated",
    "Usage",
    "huge_reply",
    "too_many_requests",
    "unknown_model",
    "wrong_key",
]

"""Fakes to test bots, channels and the whole daemon with: real servers, scripted, on loopback.

A model in the format of the OpenAI API; `script`, a function of the call, answers what no queue
does, and without one it echoes:

    async with OpenAIServer() as model:
        model.enqueue("Good morning.", too_many_requests(2), Reply(tool_calls=(ToolCall("clock"),)))
        ...                                  # let the code under test call model.base_url
        assert model.calls[0].last_text == "Hi"
        assert model.problems == []          # every request kept the rules of the API

Platforms, and the people on them. All work alike, here Telegram:

    async with TelegramServer() as telegram:
        telegram.fail("sendMessage", flood(2))           # the first send is refused with 429
        telegram.post_text(chat=7, user=7, text="Hi")
        ...                                              # let the bot use telegram.api_url
        [reply] = await telegram.wait_for_sent(1)
        assert reply.text == "Good morning."
        assert telegram.problems == telegram.early == []

`SlackServer` has Events API and Socket Mode, `TwilioServer` SMS and WhatsApp; `PlainServer`
(`gateway.testing.plain.server`) is a platform that has everything: it can be asked what it was
sent. Each has refusals of its own, and the faults of `gateway.testing.misbehaviour`.

For channels there is one set of tests that each must pass, `gateway.testing.conformance`. For what
lies between model and channel there are `FakeModel` (`models`), `FakeChannel` (`channels`) and
`FakeHost` (`host`), without a server. For the whole there is `GatewayProcess` (`process`): a
gateway on a folder of its own, to be started, killed and started again; `bot-gateway prove`
(`faults`, `kills`) does to it what can go wrong, and judges what came of it.

Examples of everything are in docs/testing-kit.md.
"""

from gateway.testing.misbehaviour import Drop, FaultRule, Garbled, Hang, HtmlError, Slow
from gateway.testing.openai.endpoint import ModelCall, OpenAIServer, Script
from gateway.testing.openai.replies import (
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
from gateway.testing.pace import Window
from gateway.testing.slack.deliveries import EventAttempt, EventRetry
from gateway.testing.slack.endpoint import SlackServer
from gateway.testing.slack.faults import SlackCall, SlackError, rate_limited
from gateway.testing.slack.messages import SlackMessage
from gateway.testing.slack.pace import SlackRates
from gateway.testing.slack.posting import Ephemeral
from gateway.testing.slack.webhook import Forgery
from gateway.testing.telegram.chats import Draft, SentMessage
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.telegram.faults import (
    ApiError,
    BotCall,
    blocked_by_user,
    cannot_parse_entities,
    chat_not_found,
    flood,
    kicked_from_group,
    migrated_to,
    not_enough_rights,
    other_poller,
    unauthorized,
    user_deactivated,
)
from gateway.testing.telegram.pace import Rates
from gateway.testing.telegram.updates import Person
from gateway.testing.telegram.webhook import WebhookAttempt, WebhookRetry
from gateway.testing.twilio.courier import TwilioAttempt
from gateway.testing.twilio.endpoint import TwilioServer
from gateway.testing.twilio.faults import (
    TwilioCall,
    TwilioError,
    opted_out,
    too_many_concurrent,
    wrong_credentials,
)
from gateway.testing.twilio.journey import Journey, not_delivered, not_sent
from gateway.testing.twilio.messages import MediaFile, TextMessage
from gateway.testing.twilio.pace import SegmentRate
from gateway.testing.twilio.signing import SharedKey

__all__ = [
    "Answer",
    "ApiError",
    "BotCall",
    "Draft",
    "Drip",
    "Drop",
    "EmptyChoices",
    "Ephemeral",
    "ErrorEvent",
    "EventAttempt",
    "EventRetry",
    "FaultRule",
    "Forgery",
    "Garbage",
    "Garbled",
    "Hang",
    "HangUp",
    "HtmlError",
    "HttpError",
    "Journey",
    "MediaFile",
    "ModelCall",
    "OpenAIServer",
    "Person",
    "Rates",
    "Reply",
    "Script",
    "SegmentRate",
    "SentMessage",
    "SharedKey",
    "Silence",
    "SlackCall",
    "SlackError",
    "SlackMessage",
    "SlackRates",
    "SlackServer",
    "Slow",
    "TelegramServer",
    "TextMessage",
    "ToolCall",
    "Truncated",
    "TwilioAttempt",
    "TwilioCall",
    "TwilioError",
    "TwilioServer",
    "Usage",
    "WebhookAttempt",
    "WebhookRetry",
    "Window",
    "blocked_by_user",
    "cannot_parse_entities",
    "chat_not_found",
    "flood",
    "huge_reply",
    "kicked_from_group",
    "migrated_to",
    "not_delivered",
    "not_enough_rights",
    "not_sent",
    "opted_out",
    "other_poller",
    "rate_limited",
    "too_many_concurrent",
    "too_many_requests",
    "unauthorized",
    "unknown_model",
    "user_deactivated",
    "wrong_credentials",
    "wrong_key",
]

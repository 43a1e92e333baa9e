"""Puts parts into Slack's channels: posts them, finishes messages that grew, takes them back.

A message that was opened as a stream is finished by chat.stopStream and, unless that already said
the rest of it, by chat.update of the same message. Both may be repeated: a stream that was stopped
says so, and an update puts the same text there. Each call is one try; what cannot be finished is
posted anew. Raises `SlackError`; what that means for the delivery is told by `failures.py`.
"""

from collections import OrderedDict
from typing import Final

from channels.slack.api import SlackRefused
from channels.slack.calls import Calls
from channels.slack.failures import TOO_MUCH, concerns_message
from channels.slack.places import Place, mark
from channels.slack.render import content, rows, smaller
from gateway.contract import Json

MAX_GROWN: Final = 1_000
"""Growing messages remembered at once; one that is forgotten costs a second call at its end."""


class Grown:
    """The streams of this process by their reference, and what each shows where that is certain."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str | None] = OrderedDict()

    def keep(self, ref: str, text: str | None) -> None:
        """That stream is ours and shows exactly this; None: nobody knows what."""
        self._texts[ref] = text
        self._texts.move_to_end(ref)
        while len(self._texts) > MAX_GROWN:
            self._texts.popitem(last=False)

    def text_of(self, ref: str) -> str | None:
        """What it shows; None when nobody knows."""
        return self._texts.get(ref)

    def is_ours(self, ref: str) -> bool:
        """Whether this process opened it or went on in it."""
        return ref in self._texts


class Sending:
    """The parts of text of one app; `unfurl`: links in them unfold into a preview."""

    def __init__(self, calls: Calls, *, unfurl: bool) -> None:
        self.grown = Grown()
        self._calls = calls
        self._unfurl = unfurl

    async def say(self, place: Place, part: Json, *, delivery_id: str, ref: str | None) -> str:
        """Say a part, in the message that was opened for it if any; returns its reference.

        What Slack finds too much is said in smaller pieces, then without formatting.
        """
        metadata = mark(delivery_id)
        try:
            return await self._put(place, part, metadata=metadata, ref=ref)
        except SlackRefused as refusal:
            pieces = smaller(part)
            if refusal.error not in TOO_MUCH or not pieces:
                raise
        refs = []
        for number, piece in enumerate(pieces, start=1):
            is_last = number == len(pieces)
            metadata = mark(delivery_id, is_whole=is_last)
            refs.append(await self._put_once_plainer(place, piece, metadata=metadata, ref=ref))
            ref = None
        return refs[0]

    async def take_back(self, place: Place, ref: str) -> None:
        """Remove a message that was opened, if it is still there."""
        await self._stop({"channel": place.channel, "ts": ref}, place)
        try:
            await self._calls.call(place.team, "chat.delete", {"channel": place.channel, "ts": ref})
        except SlackRefused as refusal:
            if not concerns_message(refusal):
                raise

    async def _put_once_plainer(
        self, place: Place, part: Json, *, metadata: Json, ref: str | None
    ) -> str:
        try:
            return await self._put(place, part, metadata=metadata, ref=ref)
        except SlackRefused as refusal:
            pieces = smaller(part)
            if refusal.error not in TOO_MUCH or not pieces:
                raise
        [plainer] = pieces[:1]
        return await self._put(place, plainer, metadata=metadata, ref=ref)

    async def _put(self, place: Place, part: Json, *, metadata: Json, ref: str | None) -> str:
        if ref is not None and await self._finish(place, part, metadata=metadata, ref=ref):
            return ref
        return await self._post(place, part, metadata=metadata)

    async def _post(self, place: Place, part: Json, *, metadata: Json) -> str:
        params = {
            "channel": place.channel,
            "thread_ts": place.thread,
            "unfurl_links": self._unfurl,
            "unfurl_media": self._unfurl,
            "metadata": metadata,
            **content(part),
        }
        try:
            posted = await self._calls.call(place.team, "chat.postMessage", params)
        except SlackRefused as refusal:
            if refusal.error != "thread_not_found" or place.thread is None:
                raise
            # Somebody removed the message that the thread hung from.
            params["thread_ts"] = None
            posted = await self._calls.call(place.team, "chat.postMessage", params)
        return str(posted["ts"])

    async def _finish(self, place: Place, part: Json, *, metadata: Json, ref: str) -> bool:
        """Let an opened message be the part; False = Slack does not let it."""
        message: dict[str, object] = {"channel": place.channel, "ts": ref}
        rest = self._rest(ref, part)
        end = {} if rest is None else {"metadata": metadata, "blocks": rows(part) or None}
        was_streaming = await self._stop({**message, **end, "markdown_text": rest or None}, place)
        if was_streaming and rest is not None:
            return True
        try:
            params = {**message, **content(part), "metadata": metadata}
            await self._calls.call(place.team, "chat.update", params)
        except SlackRefused as refusal:
            if not concerns_message(refusal):
                raise
            return False
        return True

    def _rest(self, ref: str, part: Json) -> str | None:
        """What is still to be said in a stream; None when it shows something else."""
        shown, text = self.grown.text_of(ref), str(part.get("markdown", ""))
        self.grown.keep(ref, None)
        if shown is None or not text.startswith(shown):
            return None
        return text[len(shown) :]

    async def _stop(self, params: Json, place: Place) -> bool:
        """Stop a stream; False = it was stopped before, or cannot be."""
        try:
            await self._calls.call(place.team, "chat.stopStream", params)
        except SlackRefused as refusal:
            if not concerns_message(refusal):
                raise
            return False
        return True

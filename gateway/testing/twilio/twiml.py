"""Judges what a webhook answers to an inbound message.

Twilio reads a 200's body as TwiML (an XML document whose root is Response) and takes 204 for
nothing to say. Pure functions over status, content type and body.
"""

from typing import Final
from xml.etree import ElementTree as ET

XML_TYPES: Final = frozenset({"text/xml", "application/xml", "text/html"})
"""Twilio, "TwiML: MIME types"; others are error 12300."""


def twiml_problem(status: int, content_type: str, body: bytes) -> str | None:
    """What is wrong with a good answer, None when Twilio would take it."""
    if status == 204:
        return None
    if status != 200:
        return f"the answer is {status}, neither 200 nor 204"
    if content_type not in XML_TYPES:
        return f"error 12300: the content type of the answer is {content_type}"
    root = _root(body)
    if root is None:
        return "error 12100: the answer is not XML"
    return None if root.tag == "Response" else f"error 12102: the root is {root.tag}, not Response"


def twiml_verbs(body: bytes) -> list[str]:
    """What a TwiML document asks Twilio to do, one entry a verb; empty for an empty Response.

    >>> twiml_verbs(b"<Response><Message>Hi</Message></Response>"), twiml_verbs(b"<Response/>")
    (['Message: Hi'], [])
    """
    root = _root(body)
    verbs = [] if root is None else list(root)
    return [f"{verb.tag}: {''.join(verb.itertext())}" for verb in verbs]


def _root(body: bytes) -> ET.Element | None:
    try:
        return ET.fromstring(body)  # noqa: S314 - comes from the program under test
    except ET.ParseError:
        return None

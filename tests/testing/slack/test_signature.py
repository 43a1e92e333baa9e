"""Signatures are those of Slack."""

from slack_sdk.signature import SignatureVerifier

from gateway.testing.slack.signature import signature_of, signed_headers


def test_the_known_vector_is_signed_as_the_official_library_does():
    body = '{"type":"event_callback","event":{"type":"message","text":"hé"}}'.encode()

    signature = signature_of(
        body, secret="8f742231b10e8888abcd99yyyzzz85a5", timestamp="1531420618"
    )

    assert signature == "v0=a5f634fdf169020a65d21124332afcc6baf52951418aeb6a6dc6b2627e6e7b27"


def test_the_official_verifier_refuses_what_is_five_minutes_old():
    verifier = SignatureVerifier("secret")
    fresh = signed_headers(b"{}", secret="secret")
    old = signed_headers(b"{}", secret="secret", age_s=301)

    assert verifier.is_valid_request("{}", fresh)
    assert not verifier.is_valid_request("{}", old)

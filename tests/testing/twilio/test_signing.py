"""Signatures: the vectors of the official libraries, and what the official validator says."""

import hashlib

import pytest
from twilio.request_validator import RequestValidator

from gateway.testing.twilio.signing import signature, url_with_body_hash

CALL = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675310"),
    ("Digits", "1234"),
    ("From", "+14158675310"),
    ("To", "+18005551212"),
]
URL = "https://example.com/myapp.php?foo=1&bar=2"
JSON_URL = (
    "https://example.com/sms?bodySHA256="
    "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
)


def test_a_form_is_signed_over_the_url_and_its_sorted_fields():
    assert signature("12345", URL, CALL, algorithm="HMAC_SHA1") == "L/OH5YylLD5NRKLltdqwSvS0BnU="


def test_a_shared_key_signs_the_same_text_by_sha256():
    signed = signature("12345", URL, CALL, algorithm="HMAC_SHA256")

    assert signed == "qMztBq0IANMH/q0K9sCfKQJLylezvRdRzRS647SAVow="


def test_a_url_with_its_port_has_another_signature_that_the_validator_takes_too():
    with_port = URL.replace("example.com", "example.com:443")
    signed = signature("12345", with_port, CALL, algorithm="HMAC_SHA1")

    assert signed == "nbjTKFXyL7SOTAXZi6MWqyIuq40="
    assert RequestValidator("12345").validate(URL, dict(CALL), signed)


def test_an_empty_value_is_part_of_the_signature():
    fields = [("Body", ""), ("From", "+1")]
    signed = signature("12345", "https://example.com/sms", fields, algorithm="HMAC_SHA1")

    assert signed == "BUg/asNmeMQ/PA8r6lDLFirirAU="


def test_repeated_values_are_made_unique_and_sorted():
    fields = [("A", "2"), ("A", "1"), ("A", "1"), ("B", " x ")]
    signed = signature("12345", "https://example.com/sms", fields, algorithm="HMAC_SHA1")

    assert signed == "HiX67g6MNHHbtl7iz6PduIpUdbQ="


@pytest.mark.parametrize(("body", "is_valid"), [('{"a":1}', True), ('{"a": 1}', False)])
def test_json_is_bound_to_the_signature_by_its_hash_in_the_url(body, is_valid):
    url = url_with_body_hash("https://example.com/sms", b'{"a":1}')
    signed = signature("12345", url, algorithm="HMAC_SHA1")

    assert url == JSON_URL
    assert signed == "MB1Q1GJ4gu40D173xPip/Jl6W10="
    assert RequestValidator("12345").validate(url, body, signed) is is_valid


def test_the_hash_is_appended_to_a_query():
    digest = hashlib.sha256(b"x").hexdigest()

    assert url_with_body_hash("https://a.example/?b=1", b"x").endswith(f"?b=1&bodySHA256={digest}")


def test_a_signature_for_https_is_none_for_http():
    signed = signature("12345", URL, CALL, algorithm="HMAC_SHA1")

    received = URL.replace("https:", "http:")
    assert not RequestValidator("12345").validate(received, dict(CALL), signed)

"""Whether a call is Twilio's: the vectors of its own library, and everything that is not quite."""

import hashlib
from dataclasses import replace

import pytest

from channels.twilio.forms import Form
from channels.twilio.signature import Call, Secrets, is_genuine, read_call

TOKEN = "12345"
CALL_URL = "https://example.com/myapp.php?foo=1&bar=2"
SMS_URL = "https://example.com/sms"
FIELDS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675310",
    "Digits": "1234",
    "From": "+14158675310",
    "To": "+18005551212",
}
RIGHT = "L/OH5YylLD5NRKLltdqwSvS0BnU="
RIGHT_SHA256 = "qMztBq0IANMH/q0K9sCfKQJLylezvRdRzRS647SAVow="
JSON_BODY = b'{"a":1}'
JSON_URL = f"{SMS_URL}?bodySHA256={hashlib.sha256(JSON_BODY).hexdigest()}"
JSON_SIGNATURE = "MB1Q1GJ4gu40D173xPip/Jl6W10="


def form_call(signature: str | None = RIGHT, *, settings: str | None = None) -> Call:
    return Call(url=CALL_URL, body=b"", form=Form(FIELDS), signature=signature, settings=settings)


def is_right(call: Call, *tokens: str, **shared: str) -> bool:
    return is_genuine(call, Secrets(tokens or (TOKEN,), shared))


@pytest.mark.proves("TW-2")
@pytest.mark.parametrize(
    ("url", "fields", "signature"),
    [
        (CALL_URL, FIELDS, RIGHT),
        (SMS_URL, {"Body": "", "From": "+1"}, "BUg/asNmeMQ/PA8r6lDLFirirAU="),
        (SMS_URL, {"A": ("2", "1", "1"), "B": " x "}, "HiX67g6MNHHbtl7iz6PduIpUdbQ="),
    ],
    ids=["form", "empty value", "repeated field"],
)
def test_tw_2_a_form_is_signed_over_the_url_and_every_field(url, fields, signature) -> None:
    call = Call(url=url, body=b"", form=Form(fields), signature=signature)

    assert is_right(call)
    assert not is_right(replace(call, form=Form({**fields, "New": ""})))


@pytest.mark.proves("TW-2")
def test_tw_2_a_json_body_is_signed_by_its_hash_in_the_url() -> None:
    call = Call(url=JSON_URL, body=JSON_BODY, form=None, signature=JSON_SIGNATURE)

    assert is_right(call)
    assert not is_right(replace(call, body=b'{"a": 1}'))
    assert not is_right(replace(call, url=SMS_URL))


@pytest.mark.proves("TW-2")
def test_tw_2_a_get_is_signed_over_the_url_alone() -> None:
    call = Call(url=JSON_URL, body=b"", form=Form({}), signature=JSON_SIGNATURE)

    assert is_right(call)
    assert not is_right(replace(call, url=JSON_URL + "&more=1"))


@pytest.mark.proves("TW-3")
def test_tw_3_a_shared_key_is_chosen_by_the_header() -> None:
    settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    call = form_call(RIGHT_SHA256, settings=settings)

    assert is_right(call, "another token", webhooks_sharedkey_1=TOKEN)
    assert not is_right(call, TOKEN, webhooks_sharedkey_1="another key")
    assert not is_right(call, TOKEN), "a key that is not configured is nobody's"


@pytest.mark.proves("TW-3")
def test_tw_3_the_token_may_sign_by_either_algorithm() -> None:
    assert is_right(form_call(RIGHT_SHA256, settings="algorithm=HMAC_SHA256"))
    assert not is_right(form_call(RIGHT, settings="algorithm=HMAC_SHA256"))


@pytest.mark.proves("TW-3")
@pytest.mark.parametrize("algorithm", ["HMAC_MD5", "none", "sha1"])
def test_tw_3_an_unknown_algorithm_is_refused(algorithm) -> None:
    assert not is_right(form_call(RIGHT, settings=f"algorithm={algorithm}"))


@pytest.mark.proves("TW-4")
@pytest.mark.parametrize(
    "signature", [RIGHT, "nbjTKFXyL7SOTAXZi6MWqyIuq40="], ids=["without port", "with port"]
)
def test_tw_4_the_port_may_stand_in_the_signed_url(signature) -> None:
    assert is_right(form_call(signature))
    assert is_right(replace(form_call(signature), url=CALL_URL.replace(".com", ".com:443")))


@pytest.mark.proves("TW-4")
@pytest.mark.parametrize(
    "url",
    [
        CALL_URL.replace("https", "http"),
        CALL_URL.replace("bar=2", "bar=%32"),
        CALL_URL.replace("?foo=1&bar=2", "?bar=2&foo=1"),
        CALL_URL.replace("example.com", "example.org"),
        CALL_URL + "/",
    ],
)
def test_tw_4_another_url_is_another_signature(url) -> None:
    assert not is_right(replace(form_call(), url=url))


@pytest.mark.proves("TW-5", "C-2")
@pytest.mark.parametrize("signature", [None, "", "x", RIGHT[:-2], RIGHT + " ", "ü", RIGHT.lower()])
def test_tw_5_a_missing_or_wrong_signature_is_no_error(signature) -> None:
    assert not is_right(form_call(signature))


@pytest.mark.proves("TW-6")
def test_tw_6_any_of_several_tokens_may_have_signed() -> None:
    assert is_right(form_call(), "the new one", TOKEN)
    assert not is_right(form_call(), "the new one", "another")


@pytest.mark.parametrize(
    "body", [b"\xff=1", b"&".join(b"a=1" for _ in range(1001))], ids=["bytes", "many fields"]
)
def test_what_is_no_form_is_told_so(body) -> None:
    with pytest.raises(ValueError):
        read_call(SMS_URL, body, headers={})

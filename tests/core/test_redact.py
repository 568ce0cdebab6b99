import logging

import pytest

from pipeline_lib.core.errors import ItemError, one_line
from pipeline_lib.core.redact import Formatter, redact

SECRETS = [
    "Authorization: SAPISIDHASH 1_secret",
    "Cookie: SID=secret; HSID=secret",
    "'Cookie': 'a=secret; b=secret'",
    "Set-Cookie=VISITOR=secret",
    ".youtube.com\tTRUE\t/\tTRUE\t0\t__Secure-3PSID\tsecret",
    "SAPISID=secret;",
    "https://x.example/v1/player?key=secret&prettyPrint=false",
    '{"poToken": "secret"}',
    "po_token=secret",
    "videoplayback?pot=secret&sig=secret&lsig=secret",
    "via http://user:secret@proxy.example:3128/",
    "via http://user:p@secret@proxy.example:3128/",
    "via socks5://secret@proxy.example",
    repr(".youtube.com\tTRUE\t/\tTRUE\t0\t__Secure-3PSID\tsecret"),
    repr(".youtube.com\tTRUE\t/\tTRUE\t0\tSID\tsecret"),
    "{'po_token': ['web+secret']}",
    "https://x.example/api?token=secret&page=2",
    "access_token=secret",
    "potoken=secret",
    '{"client_key": "secret"}',
    "password: secret",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_hidden_wherever_text_goes(text):
    assert "secret" not in redact(text)
    assert "secret" not in one_line(text)
    assert "secret" not in ItemError("network", text).detail


@pytest.mark.parametrize(
    "text",
    [
        "the monkey = 3",
        "keyframes: 12",
        "unexpected token: 12",
        "no such key: frames",
        "tokens=12",
        "outside=1",
        "a cookies file",
        "https://a.b/c?v=1",
        "https://a.b/@c",
        "a://b, c@d",
    ],
)
def test_other_text_stays(text):
    assert redact(text) == text


def test_names_of_secrets_stay():
    assert redact("client_secret=1f; token=2&page=3; passwd = 4") == (
        "client_secret=[hidden]; token=[hidden]&page=3; passwd = [hidden]"
    )


def test_long_hostile_text_takes_no_time_squared():
    for text in ("A-" * 20_000, "a." * 100_000):
        assert redact(text) == text


def test_tracebacks_in_logs_are_covered():
    try:
        raise ValueError("Cookie: SID=secret")
    except ValueError as error:
        record = logging.LogRecord("x", 40, "x", 1, "it failed", (), (ValueError, error, error.__traceback__))
    line = Formatter("%(message)s").format(record)
    assert "it failed" in line and "Traceback" in line and "secret" not in line

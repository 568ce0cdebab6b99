"""Text that may carry a secret (a cookie, a key, a token) → the same text without it, for logs, ledgers and messages."""

import logging
import re

HIDDEN = "[hidden]"

_RULES = (
    # a header and all that follows it on its line
    (re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(['\"]?\s*[:=]\s*)[^\r\n]+"), rf"\1\2{HIDDEN}"),
    # a session cookie of Google by name, as name=value or as a line of a cookie file, also as Python shows it
    (re.compile(r"(?:\b|(?<=\\t))((?:__Secure-|__Host-)?[A-Z0-9_-]{0,40}(?:SIDCC|SIDTS|SAPISID|APISID|SSID|HSID|PSID|SID|LOGIN_INFO))"
                r"(['\"]?\s*(?:[=:\t]|\\t)\s*['\"]?)[^\s;'\",}]+"), rf"\1\2{HIDDEN}"),
    # a parameter of an address or a JSON key
    (re.compile(r"(?i)(?<![A-Za-z])(api_?key|key|(?:po)?token|pot|signature|sig|lsig|passw(?:or)?d|secret)"
                r"(=|['\"]\s*:\s*\[?['\"])[^\s&;'\",}]+"), rf"\1\2{HIDDEN}"),
    # a password that a message names
    (re.compile(r"(?i)\b(passw(?:or)?d\s*[:=]\s*)[^\s&;'\",}]+"), rf"\1{HIDDEN}"),
    # user, password or token of a proxy or of another address
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20})://[^\s/?#'\"<>]+@"), rf"\1://{HIDDEN}@"),
)  # fmt: skip


def redact(text: str) -> str:
    """The text with the values of cookies, keys, tokens, signatures and proxy passwords replaced."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


class Formatter(logging.Formatter):
    """A formatter whose lines, tracebacks included, carry no secret."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

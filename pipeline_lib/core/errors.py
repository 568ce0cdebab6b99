"""The three ways a stage can go wrong → who is told, and whether the run goes on."""

import sys
from enum import StrEnum
from typing import NoReturn

from pydantic import ValidationError

from pipeline_lib.core.redact import redact

USER_ERROR, STOPPED = 2, 3  # exit statuses


class Reason(StrEnum):
    """Why a video has no artefact. Closed: every ledger row that is not ok carries one of these."""

    INVALID_ID = "invalid_id"
    UPSTREAM = "upstream"  # an earlier stage has no artefact of it
    NOT_FOUND = "not_found"
    PRIVATE = "private"
    REMOVED = "removed"  # or never there: a site seldom says which
    AGE_RESTRICTED = "age_restricted"
    REGION_BLOCKED = "region_blocked"
    MEMBERS_ONLY = "members_only"  # or to be paid for
    DRM_PROTECTED = "drm_protected"
    LIVE = "live"  # on air now, or announced
    FILTERED = "filtered"  # found, but not what the search's filters let through
    NETWORK = "network"
    RATE_LIMITED = "rate_limited"
    REQUEST_BLOCKED = "request_blocked"  # the site takes us for a robot, or refuses (HTTP 403)
    PO_TOKEN_REQUIRED = "po_token_required"
    NO_CAPTIONS = "no_captions"
    CAPTIONS_DISABLED = "captions_disabled"
    BAD_CAPTIONS = "bad_captions"
    NO_ARTICLE = "no_article"
    BAD_ARTICLE = "bad_article"
    MISSING_FILE = "missing_file"
    EMPTY_FILE = "empty_file"
    NOT_A_VIDEO = "not_a_video"
    NO_VIDEO_STREAM = "no_video_stream"
    TRUNCATED = "truncated"
    WRONG_DURATION = "wrong_duration"  # there is more of it than is declared
    UNDECODABLE = "undecodable"
    DECODE_TIMEOUT = "decode_timeout"
    DECODER_CRASH = "decoder_crash"
    TOO_LARGE = "too_large"
    TOO_SMALL = "too_small"
    TOO_LONG = "too_long"
    TOO_SHORT = "too_short"
    BLACK = "black"
    FROZEN = "frozen"
    TOO_FEW_WORDS = "too_few_words"
    WRONG_LANGUAGE = "wrong_language"
    SAME_ID = "same_id"  # of its page, listed under another id too
    SAME_BYTES = "same_bytes"
    NEAR_DUPLICATE = "near_duplicate"
    SPLIT_LEAK = "split_leak"  # a duplicate of a video of another split
    FRAME_RATE = "frame_rate"  # out of bounds, or not a whole multiple of the one that is wanted
    BAD_ANNOTATION = "bad_annotation"
    OUT_OF_MEMORY = "out_of_memory"
    NOT_FINITE = "not_finite"
    NO_GPU = "no_gpu"
    DISK_FULL = "disk_full"
    INTERNAL = "internal"  # a fault of this program; the detail says which


#: Reasons that say nothing about the video itself: tried again on the next run, and many of them stop the stage.
TRANSIENT = frozenset(
    {
        Reason.NETWORK,
        Reason.RATE_LIMITED,
        Reason.REQUEST_BLOCKED,
        Reason.PO_TOKEN_REQUIRED,
        Reason.LIVE,
        Reason.OUT_OF_MEMORY,
        Reason.NO_GPU,
        Reason.DISK_FULL,
        Reason.INTERNAL,
    }
)

#: Tried again on the next run: the passing ones, and files that may have come back.
RETRIED = TRANSIENT | {Reason.MISSING_FILE}


class ItemError(Exception):
    """One video can't be processed: becomes a ledger row with this reason, and the shard goes on."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = Reason(reason)
        self.detail = one_line(detail)
        super().__init__(f"{self.reason}: {self.detail}" if self.detail else str(self.reason))


class Later(Exception):
    """Not now: nothing is noted of the video, and the producer that raised this gives it once more."""


class UserError(Exception):
    """A person's mistake (configuration, missing file, wrong weights): one line that says the fix, exit status 2."""


class StopStage(Exception):
    """The stage can't go on for a reason that is no video's fault; what is done is kept, exit status 3."""


def one_line(text: object, limit: int = 300) -> str:
    """Any text as one printable line of at most `limit` characters, without secrets.

    Of a longer one the middle goes: what is wrong stands at the beginning of a message, what to do at its end.
    """
    flat = " ".join("".join(c if c.isprintable() else " " for c in redact(str(text))).split())
    if len(flat) <= limit:
        return flat
    end = (limit - 1) // 2
    return f"{flat[: limit - 1 - end]}…{flat[len(flat) - end :]}"


def fail(message: str, status: int) -> NoReturn:
    """Print a line, without secrets, on standard error and leave with `status`."""
    print(redact(message), file=sys.stderr)
    sys.exit(status)


def explain(error: ValidationError, prefix: str = "") -> str:
    """A pydantic error as one line: each key, its value, and what it should be."""
    parts = []
    for item in error.errors():
        key = ".".join([*([prefix] if prefix else []), *map(str, item["loc"])]) or "the configuration"
        if item["type"] == "extra_forbidden":
            parts.append(f"{key}: no such key; remove it or correct its spelling")
        elif item["type"] == "missing":
            parts.append(f"{key} is missing")
        elif item["type"] == "value_error" and isinstance(item["input"], dict):
            parts.append(item["msg"].removeprefix("Value error, "))  # a rule over several keys: its message names them
        elif isinstance(item["input"], dict):
            parts.append(f"{key}: {item['msg'].removeprefix('Value error, ')}")
        else:
            parts.append(f"{key} = {item['input']!r}: {item['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts)

import pytest
import requests
import youtube_transcript_api as transcripts
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError

from pipeline_lib.collect.limiter import Refused
from pipeline_lib.collect.sources.youtube import reasons
from pipeline_lib.core.errors import TRANSIENT, ItemError, Reason

#: What YouTube and yt-dlp say, and what it means.
SENTENCES = {
    "Private video. Sign in if you've been granted access to this video": "private",
    "Video unavailable. This video is private": "private",
    "Video unavailable": "removed",
    "This video has been removed by the uploader": "removed",
    "This video is no longer available because the YouTube account associated with this video has been terminated.": "removed",
    "This video has been removed for violating YouTube's policy on hate speech": "removed",
    "Video unavailable. This video contains content from X, who has blocked it on copyright grounds": "removed",
    "The uploader has not made this video available in your country": "region_blocked",
    "Video unavailable. This video contains content from X, who has blocked it in your country": "region_blocked",
    "Sign in to confirm your age. This video may be inappropriate for some users.": "age_restricted",
    "Sign in to confirm you’re not a bot. Use --cookies-from-browser": "request_blocked",
    "Video unavailable. YouTube is requiring a captcha challenge before playback": "request_blocked",
    "All player responses are invalid. Your IP is likely being blocked by Youtube": "request_blocked",
    "This content isn't available, try again later. The current session has been rate-limited": "rate_limited",
    "Join this channel to get access to members-only content like this video": "members_only",
    "This video requires payment to watch": "members_only",
    "This live event will begin in 3 days.": "live",
    "Premieres in 17 hours": "live",
    "This video is DRM protected": "drm_protected",
    "Requested format is not available. Use --list-formats": "no_video_stream",
    "Unable to download API page: HTTP Error 503: Service Unavailable": "network",
    "Unable to download webpage: The read operation timed out": "network",
    "Unable to download webpage: HTTP Error 404: Not Found": "network",
    "Got error: HTTP Error 403: Forbidden": "request_blocked",
    "[Errno 104] Connection reset by peer": "network",
    "something nobody has seen": "internal",
}


@pytest.mark.parametrize("said", SENTENCES)
def test_sentences(said):
    error = DownloadError(said, (ExtractorError, ExtractorError(said, expected=True), None))
    assert reasons.of_ytdlp(error).reason == SENTENCES[said]


def test_advice_for_users_of_a_command_line_is_left_out():
    said = "ERROR: [youtube] aaaaaaaaaaa: Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies"
    assert reasons.of_ytdlp(DownloadError(said)).detail == "Sign in to confirm you’re not a bot."


def test_refusals_of_the_visitor_count_and_others_do_not():
    assert isinstance(reasons.of_ytdlp(ExtractorError("Sign in to confirm you’re not a bot", expected=True)), Refused)
    assert isinstance(reasons.of_ytdlp(ExtractorError("rate-limited by YouTube", expected=True)), Refused)
    assert not isinstance(reasons.of_status(403, "HTTP Error 403: Forbidden"), Refused)


def test_what_ytdlp_swallowed_explains_that_there_was_no_answer():
    nothing = ExtractorError("Failed to extract any player response")
    assert reasons.of_ytdlp(nothing, swallowed=TimeoutError("no byte")).reason == Reason.NETWORK
    assert reasons.of_ytdlp(nothing, warning="[youtube] Failed to parse JSON").reason == Reason.NETWORK
    assert reasons.of_ytdlp(nothing, warning="Sign in to confirm you’re not a bot").reason == Reason.REQUEST_BLOCKED


def test_geographic_restriction():
    assert reasons.of_ytdlp(GeoRestrictedError("not here", countries=["DE"])).reason == Reason.REGION_BLOCKED


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (transcripts.TranscriptsDisabled("x"), "captions_disabled"),
        (transcripts.NoTranscriptFound("x", ["en"], "none"), "no_captions"),
        (transcripts.VideoUnavailable("x"), "removed"),
        (transcripts.AgeRestricted("x"), "age_restricted"),
        (transcripts.RequestBlocked("x"), "request_blocked"),
        (transcripts.IpBlocked("x"), "request_blocked"),
        (transcripts.PoTokenRequired("x"), "po_token_required"),
        (transcripts.VideoUnplayable("x", "This video is private", []), "private"),
        (transcripts.VideoUnplayable("x", "Custom", ["Sign in to confirm you’re not a bot"]), "request_blocked"),
        (transcripts.VideoUnplayable("x", None, []), "removed"),
        (transcripts.YouTubeDataUnparsable("x"), "bad_captions"),
        (transcripts.FailedToCreateConsentCookie("x"), "no_captions"),
        (transcripts.YouTubeRequestFailed("x", requests.HTTPError("503 Server Error")), "network"),
        (transcripts.YouTubeRequestFailed("x", requests.HTTPError("403 Client Error")), "request_blocked"),
        (requests.ConnectionError("reset"), "network"),
        (requests.Timeout("slow"), "network"),
        (KeyError("runs"), "bad_captions"),
        (ItemError("too_large", "x"), "too_large"),
    ],
)
def test_the_other_library(error, wanted):
    assert reasons.of_transcripts(error).reason == wanted


def test_every_error_of_the_other_library_has_a_reason():
    for name in dir(transcripts):
        kind = getattr(transcripts, name)
        if isinstance(kind, type) and issubclass(kind, transcripts.YouTubeTranscriptApiException):
            error = kind.__new__(kind)
            error.__dict__.update(video_id="x", reason="r", sub_reasons=[], _proxy_config=None)
            error.__dict__.update(_requested_language_codes=["en"], _transcript_data="none")
            assert reasons.of_transcripts(error).reason in Reason


def test_passing_reasons_are_tried_again():
    passing = {"network", "rate_limited", "request_blocked", "po_token_required", "live"}
    assert passing <= {str(reason) for reason in TRANSIENT}
    assert not {"private", "removed", "age_restricted", "region_blocked", "captions_disabled"} & set(
        map(str, TRANSIENT)
    )

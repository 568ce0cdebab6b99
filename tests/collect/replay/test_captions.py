"""Captions through both libraries' own code, against written and recorded answers."""

import pytest
from replay_recordings import recorded, recorded_player
from replay_server import Answer, insist
from replay_site import Fault, Site, Video

from pipeline_lib.core.errors import ItemError, Reason

A = "aaaaaaaaaaa"
WORDS = [
    {"start": 0.0, "duration": 1.5, "text": "the waves broke over the pier"},
    {"start": 2.0, "duration": 1.5, "text": "nobody was hurt"},
]


def reason(source, *languages, video_id=A):
    with pytest.raises(ItemError) as error:
        source.captions(video_id, languages or ["en"])
    return error.value.reason


def asked_for(server):
    return [asked.query.get("fmt", "xml") for _, asked in server.asked if asked.path == "/api/timedtext"]


@pytest.mark.parametrize(
    ("offered", "wanted", "language", "kind"),
    [
        ({"en": "manual"}, ["en"], "en", "manual"),
        ({"de": "manual", "en": "asr"}, ["en", "de"], "en", "auto"),
        ({"de": "manual", "en": "asr"}, ["de", "en"], "de", "manual"),
        ({"en-GB": "manual"}, ["fr", "en"], "en-GB", "manual"),
    ],
)
def test_languages_in_order(youtube, offered, wanted, language, kind):
    source, server = youtube(Site({A: Video(captions=offered)}))
    assert source.captions(A, wanted) == {"captions": WORDS, "caption_kind": kind, "language": language}
    assert asked_for(server) == ["json3"]


def test_manual_before_automatic(youtube):
    class Both(Site):
        def _player(self, video_id):
            answer = super()._player(video_id)
            answer.body = answer.body.replace(
                b'"vssId": ".xx", "languageCode": "xx"', b'"vssId": ".en", "languageCode": "en"'
            )
            return answer

    source, server = youtube(Both({A: Video(captions={"en": "asr", "xx": "manual"})}))
    assert source.captions(A, ["en"])["caption_kind"] == "manual"
    (asked,) = [asked for _, asked in server.asked if asked.path == "/api/timedtext"]
    assert asked.query["kind"] == "manual"


def test_automatic_ones_can_be_refused(youtube):
    source, _ = youtube(Site({A: Video(captions={"en": "asr"})}), captions={"automatic": False})
    assert reason(source) == Reason.NO_CAPTIONS


def test_vtt_where_json3_is_broken(youtube):
    class Broken(Site):
        def _captions(self, query):
            return Answer(b'{"events": 7}') if query.get("fmt") == "json3" else super()._captions(query)

    source, server = youtube(Broken({A: Video()}))
    assert source.captions(A, ["en"])["captions"] == WORDS
    assert asked_for(server) == ["json3", "vtt"]


def test_the_other_library_where_ytdlp_gets_nothing(youtube):
    """yt-dlp leaves out captions that need a token (`exp=xpe`); this visitor gets them by the other way."""

    class Tokens(Site):
        def _player(self, video_id):
            self.count = getattr(self, "count", 0) + 1
            answer = super()._player(video_id)
            if self.count == 1:
                answer.body = answer.body.replace(b"/api/timedtext?", b"/api/timedtext?exp=xpe&")
            return answer

    source, server = youtube(Tokens({A: Video(captions={"en": "asr"})}))
    assert source.captions(A, ["en"]) == {"captions": WORDS, "caption_kind": "auto", "language": "en"}
    assert asked_for(server) == ["xml"]


@pytest.mark.parametrize("required", [True, False])
def test_none_at_all(youtube, required):
    source, _ = youtube(Site({A: Video(captions=None)}), captions={"required": required})
    if required:
        assert reason(source) == Reason.CAPTIONS_DISABLED
    else:
        assert source.captions(A, ["en"]) == {"captions": [], "caption_kind": "none", "language": ""}


def test_none_in_the_languages_wanted_says_which_there_are(youtube):
    source, _ = youtube(Site({A: Video(captions={"de": "manual", "ja": "asr"})}))
    with pytest.raises(ItemError, match=r"no_captions: none in en, fr; there are: de, ja"):
        source.captions(A, ["en", "fr"])


@pytest.mark.parametrize("kind", ["429", "503"])
def test_passing_faults_pass(youtube, kind):
    source, _ = youtube(Site({A: Video(faults=[Fault("captions", kind, times=2)])}))
    assert insist(source.captions, A, ["en"])["captions"] == WORDS


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("429", Reason.RATE_LIMITED),
        ("503", Reason.NETWORK),
        ("garbage", Reason.BAD_CAPTIONS),
        ("html", Reason.BAD_CAPTIONS),
    ],
)
def test_lasting_faults(youtube, kind, wanted):
    source, _ = youtube(Site({A: Video(faults=[Fault("captions", kind)])}))
    assert reason(source) == wanted


def test_hostile_markup_becomes_words(youtube):
    words = "<script>alert(1)</script> <img src=x onerror=y> &lt;b&gt;bold\u202e\u0000 <c.colorE5E5E5>end</c>"
    source, _ = youtube(Site({A: Video(words=words)}))
    (first, _) = source.captions(A, ["en"])["captions"]
    assert first["text"] == "alert(1) <b>bold end"


def test_a_bomb_of_entities_is_refused(youtube):
    bomb = '<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a "' + "x" * 1000 + '"><!ENTITY b "' + "&a;" * 1000 + '">]>'
    bomb += '<transcript><text start="0" dur="1">&b;</text></transcript>'

    class Bomb(Site):
        def _captions(self, query):
            return Answer(bomb.encode()) if "fmt" not in query else Answer(b"", kind="text/plain")

    source, _ = youtube(Bomb({A: Video()}))
    assert reason(source) == Reason.BAD_CAPTIONS


# From here on: answers that YouTube gave, recorded by youtube-transcript-api (but for its transcript, which is made up).


def test_recorded_tracks_in_both_libraries(youtube):
    class Recorded(Site):
        def _captions(self, query):
            if "fmt" in query:
                return super()._captions(query)
            return Answer(recorded("transcript.xml.static"), kind="text/xml")

    site = Recorded({"GJLlxj_dtq8": Video(player=recorded_player("youtube"))})
    source, server = youtube(site)
    for language in ("zh", "cs", "de", "hi", "ja", "ko", "es", "en"):
        found = source.captions("GJLlxj_dtq8", [language])
        assert (found["language"], found["caption_kind"]) == (language, "manual")
        assert {asked.query["lang"] for _, asked in server.asked if asked.path == "/api/timedtext"} >= {language}
    with pytest.raises(ItemError, match=r"there are: cs, de, en, es, hi, ja, ko, zh"):
        source.captions("GJLlxj_dtq8", ["fr"])


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("youtube_transcripts_disabled", Reason.CAPTIONS_DISABLED),
        ("youtube_transcripts_disabled2", Reason.CAPTIONS_DISABLED),  # a stream of six hours
        ("youtube_po_token_required", Reason.PO_TOKEN_REQUIRED),
    ],
)
def test_recorded_failures(youtube, name, wanted):
    player = recorded_player(name)
    video_id = player["videoDetails"]["videoId"]
    source, _ = youtube(Site({video_id: Video(player=player)}), filters={"max_seconds": 86400})
    assert reason(source, video_id=video_id) == wanted


def test_a_robot_check_page(youtube):
    """Where only the other library is answered with the recorded captcha page."""

    class Check(Site):
        def __call__(self, asked):
            if asked.path == "/watch" and "python-requests" in asked.headers.get("User-Agent", ""):
                return Answer(recorded("youtube_too_many_requests.html.static"), kind="text/html")
            return super().__call__(asked)

    source, _ = youtube(Check({A: Video(captions={"de": "manual"})}))
    assert reason(source) == Reason.REQUEST_BLOCKED


def test_recognition_where_there_are_none(youtube, video, monkeypatch, tmp_path):
    heard = {"captions": WORDS, "caption_kind": "asr", "language": "en", "model": "tiny"}
    sounds = []

    def recognise(sound, model, languages):
        sounds.append((sound.read_bytes(), model, languages))
        return heard

    monkeypatch.setattr("pipeline_lib.collect.sources.youtube.asr.recognise", recognise)
    source, _ = youtube(Site({A: Video(video.read_bytes(), captions=None)}), captions={"asr": "tiny"})
    assert source.captions(A, ["en"]) == heard
    assert sounds == [(video.read_bytes(), "tiny", ["en"])]
    assert not list(tmp_path.rglob(".part/*"))

"""Facts about texts: words of scripts with and without spaces, and languages."""

import pytest

from pipeline_lib.clean import languages
from pipeline_lib.clean.text_checks import count_words, read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("♪ [♪♪] …", 0),
        ("Don't re-enter, it's 5 o'clock.", 5),
        ("Größe naïve здравствуй мир", 4),
        ("今日は天気", 5),
        ("한국어 단어 둘", 3),
        ("สวัสดี", 6),
        ("a_b", 2),
    ],
)
def test_words(text, words):
    assert count_words(text) == words


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The council voted on the new bridge last night, and most members agreed.", "en"),
        ("Der Stadtrat stimmte gestern Abend über die neue Brücke ab.", "de"),
        ("Le conseil municipal a voté hier soir pour le nouveau pont de la ville.", "fr"),
        ("Городской совет вчера вечером проголосовал за новый мост.", "ru"),
        ("市議会は昨夜、新しい橋について投票しました。", "ja"),
    ],
)
def test_languages(text, language):
    code, confidence = languages.detect(text)
    assert code == language and confidence > 0.95
    assert languages.detect(text) == (code, confidence)


def test_what_is_in_no_language():
    for text in ("", "12 34", "♪♪♪"):
        assert languages.detect(text) == ("", 0.0)
    assert languages.detect("hello")[1] < 0.5  # one word tells little


def test_codes_of_several_standards():
    assert [languages.normal(code) for code in ("en-US", "pt_BR", "iw", "nb", "zh-Hans")] == [
        "en",
        "pt",
        "he",
        "no",
        "zh",
    ]
    assert languages.known("en-GB") and languages.known("iw") and not languages.known("tlh")


def test_missing_keys_and_odd_values_are_no_texts():
    texts = read(
        {"article": None, "duration": None}, {"captions": [{"text": None}, {"text": "  "}, {"text": "Two words"}]}
    )
    assert (texts.article, texts.segments, texts.words, texts.caption_kind, texts.declared) == ("", 1, 2, "none", 0.0)
    assert read({}, {}).detected == ""

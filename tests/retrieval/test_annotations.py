"""Small annotation files of each layout → captions; what is wrong with one is said in one line."""

import json
from pathlib import Path

import pytest

from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import annotations, epic, labels
from pipeline_lib.retrieval.annotations import Caption, Dataset, Proxy

HEADER = "narration_id,video_id,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"
CLIPS = (
    HEADER
    + "P01_1,P01,take plate,take,0,plate,2,['plate'],[2]\n"
    + 'P01_2,P01,"put plate, cup",put,1,plate,2,"[\'plate\', \'cup\']","[2, 13]"\n'
    + "P01_3,P01,take plate,take,0,plate,3,['plate'],[3]\n"
)


def csv(folder: Path, content: str, name: str = "clips.csv") -> Path:
    (folder / name).write_text(content)
    return folder / name


def database(folder: Path, **entries: object) -> Path:
    content = {"database": {key: {"annotations": [value]} for key, value in entries.items()}}
    (folder / "train.json").write_text(json.dumps(content))
    return folder / "train.json"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, (3,)),
        (3.0, (3,)),
        ("3", (3,)),
        ("[1, 2]", (1, 2)),
        ("[]", ()),
        ("", ()),
        (None, ()),
        ([2, 1, 2], (2, 1, 2)),
        ("['cut', '7']", ("cut", 7)),
        (["take.v.01", 3], ("take.v.01", 3)),
    ],
)
def test_classes(value, expected):
    assert labels.parse(value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("take", r"'take' is a string, not a list of classes; write \['take'\]"),
        ("[1 2]", r"is not a list; write classes as \[1, 2\]"),
        ("[__import__('os').getpid()]", "is not a list"),
        ("[" * 5000, "is not a list"),
        ("[" + "1," * 60_000 + "]", "a list of 120002 characters"),
        ([[1]], "neither the number of a class nor a word"),
        ({"a": 1}, "neither the number"),
        (1.5, "neither the number"),
        (float("nan"), "neither the number"),
        (True, "True is no class"),
    ],
)
def test_what_is_no_class_is_refused_with_the_fix(value, message):
    with pytest.raises(ValueError, match=message):
        labels.parse(value)


def test_epic_clips(tmp_path):
    assert annotations.read(Dataset.EPIC100, csv(tmp_path, CLIPS)) == [
        Caption("P01_1", "P01_1", "take plate", (0,), (2,)),
        Caption("P01_2", "P01_2", "put plate, cup", (1,), (2, 13)),
        Caption("P01_3", "P01_3", "take plate", (0,), (3,)),
    ]


def test_epic_sentences_have_the_classes_of_the_clip_they_name_and_their_own_text(tmp_path, caplog):
    clips = annotations.read(Dataset.EPIC100, csv(tmp_path, CLIPS))
    listed = csv(tmp_path, 'narration_id,narration\nP01_2,"put plate, cup"\nP01_3,shifted\n', "sentences.csv")
    found = epic.read_sentences(listed, clips)
    assert [(one.text, one.nouns) for one in found] == [("put plate, cup", (2, 13)), ("shifted", (3,))]
    assert "1 texts are not their clips', whose classes they take: P01_3 is 'shifted'" in caplog.text
    with pytest.raises(UserError, match=r"line 2: P99 is not among the 3 clips; give sentences and clips of the same"):
        epic.read_sentences(csv(tmp_path, "narration_id,narration\nP99,x\n", "sentences.csv"), clips)


def test_unique_sentences_of_clips_without_verbs():
    clips = [Caption("a", "a", "one", (), (1,)), Caption("b", "b", "one", (), (2,))]
    assert [one.caption_id for one in epic.unique_sentences(clips)] == ["a", "b"]


def test_unique_sentences_and_then_actions_without_one(tmp_path):
    clips = annotations.read(Dataset.EPIC100, csv(tmp_path, CLIPS))
    assert [one.caption_id for one in epic.unique_sentences(clips)] == [
        "P01_1",
        "P01_2",
        "P01_3",
    ]  # (0, 3) has no other
    assert [one.caption_id for one in epic.unique_sentences([clips[0], clips[0], clips[1]])] == ["P01_1", "P01_2"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CLIPS.replace(",0,plate,2,", ",,plate,2,"), "line 2: P01_1 has 0 verb classes; it needs one"),
        (CLIPS.replace(",0,plate,3,", ",take,plate,3,"), "line 4: verb_class: 'take' is a string"),
        (CLIPS.replace("all_noun_classes", "x"), "line 2: no all_noun_classes; expected CSV with the columns"),
        (HEADER, "has no captions"),
        (CLIPS + "P01_1,P01,a,take,0,plate,2,['plate'],[2]\n", "'P01_1' stands there twice"),
        (CLIPS + "P01_4,P01,a,take,0,plate,2,['plate'],[2],surplus\n", "line 5: more cells than the header"),
    ],
)
def test_malformed_epic_files_are_named(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as caught:
        annotations.read(Dataset.EPIC100, csv(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_databases_are_read_video_by_video_in_the_order_of_numbers(tmp_path):
    entries = {f"video7_{i}": {"verb_class": [i], "noun_classes": "[1, 2]"} for i in (10, 9, 0)}
    entries["video3_0"] = {"verb_class": [], "noun_classes": [5], "sentence": "own text"}
    found = annotations.read(Dataset.MSRVTT, database(tmp_path, **entries))
    assert [one.caption_id for one in found] == ["video7_0", "video7_9", "video7_10", "video3_0"]
    assert found[3] == Caption("video3_0", "video3", "own text", (), (5,))
    assert found[0].nouns == (1, 2)


def test_sentences_of_a_database(tmp_path):
    path = database(tmp_path, **{f"video1_{i}": {"verb_class": [1], "noun_classes": [i]} for i in range(2)})
    (tmp_path / "ref_captions.json").write_text(json.dumps({"video1.mp4": ["first", "second"]}))
    found = annotations.read(Dataset.MSRVTT, path, sentences=tmp_path / "ref_captions.json")
    assert [one.text for one in found] == ["first", "second"]
    (tmp_path / "ref_captions.json").write_text(json.dumps({"video1": ["first"]}))
    with pytest.raises(UserError, match=r"'video1_1' of .* has no sentence; give the sentences of the same split"):
        annotations.read(Dataset.MSRVTT, path, sentences=tmp_path / "ref_captions.json")
    (tmp_path / "ref_captions.json").write_text(json.dumps({"video1": ["a", "b"], "video2": ["c"]}))
    with pytest.raises(UserError, match=r"1 videos of .* have no classes in .*: video2"):
        annotations.read(Dataset.MSRVTT, path, sentences=tmp_path / "ref_captions.json")


def test_sentences_without_classes_are_named(tmp_path, caplog):
    path = database(tmp_path, **{f"video1_{i}": {"verb_class": [1], "noun_classes": [i]} for i in (0, 2)})
    (tmp_path / "ref_captions.json").write_text(json.dumps({"video1": ["a", "b", "c", "d"]}))
    found = annotations.read(Dataset.MSRVTT, path, sentences=tmp_path / "ref_captions.json")
    assert [one.text for one in found] == ["a", "c"]
    assert "2 sentences have no classes, so they are left out: video1_1, video1_3" in caplog.text


def test_charades_has_a_key_of_sentences_per_caption(tmp_path):
    path = database(tmp_path, **{f"A_B_{i}": {"verb_class": [1], "noun_classes": [i]} for i in range(2)})
    (tmp_path / "ref_captions.json").write_text(json.dumps({"A_B_1": ["second"], "A_B_0": ["first"]}))
    found = annotations.read(Dataset.CHARADES, path, sentences=tmp_path / "ref_captions.json")
    assert [(one.video_id, one.text) for one in found] == [("A_B", "first"), ("A_B", "second")]


def test_epic_in_a_database_has_a_caption_per_clip(tmp_path):
    path = database(tmp_path, P01_01_10={"verb_class": 3, "noun_classes": "[4, 3]"})
    assert annotations.read(Dataset.EPIC100, path) == [Caption("P01_01_10", "P01_01_10", "", (3,), (4, 3))]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"video1": {"verb_class": [1], "noun_classes": [1]}}, "caption 'video1' is not <video>_<number>"),
        ({"video1_0": {"verb_class": [1]}}, "caption 'video1_0' has no noun_classes"),
        ({"video1_0": 7}, "caption 'video1_0' has no verb_class"),
        (
            {"video1_0": {"verb_class": [1], "noun_classes": [1], "sentence": "\ud83d"}},
            "'video1_0' holds half of a character",
        ),
        (
            {"video1_0": {"verb_class": "run", "noun_classes": [1]}},
            "verb_class of caption 'video1_0': 'run' is a string",
        ),
    ],
)
def test_malformed_databases_are_named(tmp_path, entries, message):
    with pytest.raises(UserError, match=message):
        annotations.read(Dataset.MSVD, database(tmp_path, **entries))
    (tmp_path / "train.json").write_text("[]")
    with pytest.raises(UserError, match="no database"):
        annotations.read(Dataset.MSVD, tmp_path / "train.json")


@pytest.mark.parametrize("form", ["csv", "json"])
def test_parsed_captions(tmp_path, form):
    row = {"narration": "cut the red pepper", "non_stop_words": ["cut", "red", "pepper"], "parsed_verbs": ["cut"]}
    row |= {"parsed_nouns": ["pepper"], "parsed_verb_classes": ["cut.v.01"], "parsed_noun_classes": [7]}
    path = tmp_path / f"captions.{form}"
    if form == "json":
        path.write_text(json.dumps([row]))
    else:
        path.write_text(",".join(row) + "\n" + ",".join(f'"{value}"' for value in row.values()) + "\n")
    bow = annotations.read(Dataset.PARSED, path, proxy=Proxy.BOW)
    assert bow == [Caption("0", "0", "cut the red pepper", words=("cut", "red", "pepper"))]
    pos = annotations.read(Dataset.PARSED, path, proxy=Proxy.POS)
    assert pos == [Caption("0", "0", "cut the red pepper", ("cut",), ("pepper",))]
    syn = annotations.read(Dataset.PARSED, path, proxy=Proxy.SYN)
    assert syn == [Caption("0", "0", "cut the red pepper", ("cut.v.01",), (7,))]


def test_options_without_use_and_pickled_tables_are_refused(tmp_path):
    with pytest.raises(UserError, match="proxy belongs to the dataset `parsed`"):
        annotations.read(Dataset.EPIC100, csv(tmp_path, CLIPS), proxy=Proxy.BOW)
    with pytest.raises(UserError, match="proxy belongs"):
        annotations.read(Dataset.PARSED, csv(tmp_path, CLIPS))
    with pytest.raises(UserError, match="has its own sentences"):
        annotations.read(Dataset.EPIC100, csv(tmp_path, CLIPS), sentences=tmp_path / "x.json")
    with pytest.raises(UserError, match=r"pickled table.*read_pickle"):
        annotations.read(Dataset.PARSED, tmp_path / "frame.pkl", proxy=Proxy.BOW)
    with pytest.raises(UserError, match="does not exist"):
        annotations.read(Dataset.EPIC100, tmp_path / "absent.csv")


def test_a_file_that_is_missing_or_of_another_kind_is_named_with_what_is_expected(tmp_path):
    with pytest.raises(UserError, match=r"absent\.json does not exist; correct the path$"):
        annotations.read(Dataset.MSRVTT, tmp_path / "absent.json")
    with pytest.raises(UserError, match=r"not valid JSON.*; expected RANP's JSON of msrvtt, \{\"database\""):
        annotations.read(Dataset.MSRVTT, csv(tmp_path, CLIPS))
    (tmp_path / "clips.pkl").write_bytes(b"\x80\x04")
    with pytest.raises(
        UserError, match=r"not UTF-8; expected RANP's JSON of epic100, .*, or EPIC's CSV, called \.csv$"
    ):
        annotations.read(Dataset.EPIC100, tmp_path / "clips.pkl")
    with pytest.raises(UserError, match=r"is a folder, not a file; expected RANP's JSON of charades"):
        annotations.read(Dataset.CHARADES, tmp_path)
    with pytest.raises(UserError, match=r"no object; expected ref_captions\.json, \{video"):
        (tmp_path / "captions.json").write_text("[]")
        annotations.read(Dataset.MSVD, database(tmp_path), sentences=tmp_path / "captions.json")

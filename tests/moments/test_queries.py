"""Datasets → queries that can be used, in groups and in order; what can't be used is said with its qid."""

import json

import pytest

from pipeline_lib.annotations.moment import Moment
from pipeline_lib.config.moments import Moments
from pipeline_lib.core.errors import UserError
from pipeline_lib.moments import own, queries

OWN = Moments()


def moment(qid, start=1.0, end=3.0, video="a", sentence="a dog barks", duration=10.0, windows=None):
    return Moment(video, qid, sentence, windows or ((start, end),), duration, "train")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([moment(1), moment(1, video="b")], r"qid 1 stands there 2 times \(videos a, b\)"),
        ([moment(4, sentence=" . ")], "qid 4 of video a has no word in its sentence"),
        ([moment(5, 9.0, 12.0)], r"its moment \[9, 12\] lies past the end of the video \(10 s\)"),
        ([moment(6, 11.0, 11.0)], "lies past the end"),
        ([moment(7, 3.0, 1.0)], "ends before it starts"),
        ([moment(8, -1.0, 1.0)], r"its moment \[-1, 1\] starts before the video"),
        ([], "has no queries"),
    ],
)
def test_bad_queries_are_named(found, message):
    with pytest.raises(UserError, match=message):
        queries.check(found, "annotations")


def test_an_end_rounded_past_the_video_is_fine():
    queries.check([moment(1, 9.0, 10.0004)], "annotations")


def test_sentences_of_a_video_stand_by_the_clip_they_start_in():
    # 2.9 and 2.1 start in the same clip of 1 s, and keep their order; 1.0 comes first
    options = OWN.model_copy(update={"data": OWN.data.model_copy(update={"clip_len": 1.0})})
    found = [moment(1, 2.9, 4.0), moment(2, 0.0, 1.0, "b"), moment(3, 2.1, 3.0), moment(4, 1.0, 2.0)]
    assert queries.groups(found, options) == [[3, 0, 2], [1]]
    # in fractions of the video, as for TACoS, 2.1 is before 2.9
    options = OWN.model_copy(update={"data": OWN.data.model_copy(update={"clip_len": -1.0})})
    assert queries.groups(found, options) == [[3, 2, 0], [1]]


def test_pieces_of_one_film_are_a_group_by_their_start():
    options = OWN.model_copy(update={"dataset": "qvhighlights"})
    found = [moment(1, video="x_y_210.0_360.0"), moment(2, video="z_0.0_150.0"), moment(3, video="x_y_60.0_210.0")]
    assert queries.groups(found, options) == [[2, 0], [1]]
    with pytest.raises(UserError, match="'film' is no piece of a film"):
        queries.groups([moment(1, video="film")], options)


LABELS = {
    "v1": {
        "split": "train",
        "duration": 12.0,
        "events": [{"start": 1.0, "end": 4.0, "type": "burn"}, {"start": 6.0, "end": 9.0, "type": "explode"}],
        "article_sentences": ["A house burned.", "Nobody knows why.", "Fires and blasts all day."],
        "event_coreference": [[0, 0], [1, 2], [0, 2]],
    },
    "v0": {
        "split": "val",
        "duration": 5.0,
        "events": [{"start": 0.0, "end": 5.0, "type": "burn"}],
        "article_sentences": ["Smoke rose."],
        "event_coreference": [[0, 0]],
    },
}
CAPTIONS = {
    "v0": {"captions": [{"start": 0.0, "duration": 1.0, "text": "smoke"}]},
    "v1": {
        "captions": [
            {"start": 4.5, "duration": 1.0, "text": "Back to the studio."},
            {"start": 6.0, "duration": 1.0, "text": "A blast."},
        ]
    },
}


def write(tmp_path, labels=LABELS, captions=CAPTIONS):
    files = own.Files(tmp_path / "annotations.json", tmp_path / "captions.json")
    files.annotations.write_text(json.dumps(labels))
    files.captions.write_text(json.dumps(captions))
    return files


def test_own_sentences_tell_of_the_events_they_corefer_with(tmp_path):
    files = write(tmp_path)
    found = own.read(files, "train", ["article"])
    assert [(one.query_id, one.sentence, one.windows) for one in found] == [
        (3, "A house burned.", ((1.0, 4.0),)),
        (4, "Fires and blasts all day.", ((1.0, 4.0), (6.0, 9.0))),
    ]
    both = own.read(files, "train", ["article", "captions"])
    assert both[:2] == found and both[2:] == [Moment("v1", 5, "A blast.", ((6.0, 9.0),), 12.0, "train")]
    assert [one.query_id for one in own.read(files, "val", ["article"])] == [1]


def test_own_events_at_one_time_are_one_moment_and_stand_in_order(tmp_path):
    events = [{"start": 6.0, "end": 9.0}, {"start": 1.0, "end": 8.0}, {"start": 6.0, "end": 9.0}]
    labels = {**LABELS["v1"], "events": events, "event_coreference": [[0, 0], [0, 0], [2, 0], [1, 0]]}
    article, _, blast = own.read(write(tmp_path, labels={"v1": labels}), "train", ["article", "captions"])
    assert article.windows == blast.windows == ((1.0, 8.0), (6.0, 9.0))


def test_own_videos_that_failed_due_diligence_are_left_out(tmp_path):
    files = write(tmp_path, captions={"v0": CAPTIONS["v0"]})
    with pytest.raises(UserError, match="no video of split 'train'"):
        own.read(files, "train", ["article"])


def test_own_labels_that_do_not_fit_are_named(tmp_path):
    files = write(tmp_path, labels={"v1": {**LABELS["v1"], "event_coreference": [[2, 0]]}})
    with pytest.raises(UserError, match="event_coreference of v1 pairs event 2 and sentence 0, but there are 2 and 3"):
        own.read(files, "train", ["article"])


def test_captions_are_learned_from_and_not_measured_on(tmp_path):
    files = write(tmp_path)
    options = OWN.model_copy(update={"own_queries": ["article", "captions"]})
    assert len(queries.read(options, "train", files)) == 3
    assert len(queries.read(options, "val", files)) == 1
    with pytest.raises(UserError, match="give --annotations and --captions"):
        queries.read(options, "train")

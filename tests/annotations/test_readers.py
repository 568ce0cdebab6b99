"""Small made-up annotation files, and the published ones where they are → moments; malformed lines → one-line errors."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.annotations import datasets
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.annotations.moment import Moment
from pipeline_lib.core.errors import UserError

DATA = Path(__file__).parents[3] / "shared" / "data"
LENGTHS = 'id,script,length\r\nV1,"one, two\nthree",10.5\r\nV2,x,20\r\n'


def charades_sta(folder: Path, lines: str, lengths: str = LENGTHS) -> Path:
    (folder / "charades_sta_train.txt").write_text(lines)
    (folder / "Charades_v1_train.csv").write_text(lengths, newline="")
    return folder


def test_charades_sta_is_corrected_and_numbered_by_line(tmp_path: Path) -> None:
    lines = "V1 0.0 6.9##a cat sits. \nV1 11 12##starts too late\nV2 9 3.5##swapped\n\nV1 10.5 99##cut at the end\n"
    found = datasets.read(Dataset.CHARADES_STA, charades_sta(tmp_path, lines), "train")
    assert found == [
        Moment("V1", 0, "a cat sits.", ((0.0, 6.9),), 10.5, "train"),
        Moment("V2", 2, "swapped", ((3.5, 9.0),), 20.0, "train"),
        Moment("V1", 4, "cut at the end", ((10.5, 10.5),), 10.5, "train"),
    ]


def test_files_of_a_split(tmp_path: Path) -> None:
    charades_sta(tmp_path, "", "")
    assert datasets.files(Dataset.CHARADES_STA, tmp_path, "train") == sorted(tmp_path.iterdir(), reverse=True)
    assert datasets.files(Dataset.TACOS, tmp_path, "val") == [tmp_path / "val.json"]
    assert datasets.files(Dataset.CHARADES_STA, tmp_path, "val") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("V1 0.0##no end", "line 2: 'V1 0.0'; expected VIDEO start end##sentence"),
        ("V1 0.0 x##word", "line 2: 'V1 0.0 x'; expected VIDEO"),
        ("V1 0.0 nan##word", "line 2: 'V1 0.0 nan'; expected VIDEO"),
        ("V1 0.0 1.0", "line 2: no sentence; expected VIDEO"),
        ("V9 0.0 1.0##word", "line 2: V9 has no duration; expected a video id of Charades_v1_train.csv"),
    ],
)
def test_malformed_charades_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    folder = charades_sta(tmp_path, f"V1 0 1##fine\n{line}\n")
    with pytest.raises(UserError) as caught:
        datasets.read(Dataset.CHARADES_STA, folder, "train")
    assert str(caught.value).startswith(f"{folder / 'charades_sta_train.txt'} {message}")
    assert "\n" not in str(caught.value)


def test_malformed_durations_are_named(tmp_path: Path) -> None:
    for lengths, message in (
        ("id,length\nV1,10\nV2,long\n", "line 3: length 'long'"),
        ("id,x\nV1,1\n", "line 2: length"),
    ):
        with pytest.raises(UserError, match=rf"Charades_v1_train\.csv {message}.*expected CSV with the columns"):
            datasets.read(Dataset.CHARADES_STA, charades_sta(tmp_path, "V1 0 1##a\n", lengths), "train")
    (tmp_path / "charades_sta_train.txt").write_bytes(b"V1 0 1##a\nV1 0 1##na\xefve\n")
    (tmp_path / "Charades_v1_train.csv").write_text(LENGTHS)
    with pytest.raises(UserError, match=r"train\.txt line 2: byte 20 is not UTF-8"):
        datasets.read(Dataset.CHARADES_STA, tmp_path, "train")


@pytest.mark.parametrize(
    ("dataset", "name", "key"),
    [
        (Dataset.CHARADES_CD, "charades_test_ood.json", "video_duration"),
        (Dataset.CHARADES_CG, "novel_word.json", "duration"),
    ],
)
def test_charades_cd_and_cg(tmp_path: Path, dataset: Dataset, name: str, key: str) -> None:
    entry = {"timestamps": [[5, 1.5], [31, 32], [2, 40]], "sentences": ["a", "late", "c"], key: 30}
    (tmp_path / name).write_text(json.dumps({"V1": entry}))
    split = {v: k for k, v in datasets.splits(dataset).items()}[name]
    found = datasets.read(dataset, tmp_path, split)
    assert [(m.query_id, m.sentence, m.windows, m.duration) for m in found] == [
        (1, "a", ((1.5, 5.0),), 30.0),
        (3, "c", ((2.0, 30.0),), 30.0),
    ]


def test_tacos_frames_become_seconds(tmp_path: Path) -> None:
    entry = {
        "timestamps": [[50, 10], [-5, 50], [100, 900]],
        "sentences": ["x", "a", "b"],
        "fps": 25.0,
        "num_frames": 500,
    }
    (tmp_path / "val.json").write_text(json.dumps({"s1.avi": entry}))
    assert datasets.read(Dataset.TACOS, tmp_path, "val") == [
        Moment("s1.avi", 1, "a", ((0.0, 2.0),), 20.0, "val"),
        Moment("s1.avi", 2, "b", ((4.0, 20.0),), 20.0, "val"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": {}}', "line 1: video a: timestamps is missing; sentences is missing;"),
        (
            '{\n"a":\n{"timestamps": [}',
            "line 3: not valid JSON, Expecting value at column 17; expected {video id: {times",
        ),
        ("[]", "line 1: no object; expected {video id: {timestamps"),
        (
            '{"a": {"timestamps": [], "sentences": [], "fps": 1, "num_frames": 1},\n'
            ' "b": {"timestamps": [[1, 2]], "sentences": [], "fps": 1, "num_frames": 9}}',
            "line 2: video b: 1 timestamps for 0 sentences; expected",
        ),
        (
            '{"a": {"timestamps": [], "sentences": [], "fps": 1, "num_frames": 1}, "b": {}, "a": {}}',
            "line 1: 'a' stands twice in one object; expected {video id",
        ),
        (
            '{"a": {"num_frames": ' + "1" * 5000 + "}}",
            "line 1: Exceeds the limit (4300 digits) for integer string conversion",
        ),
        (
            '{"a": {"timestamps": [[1, NaN]], "sentences": ["x"], "fps": 1, "num_frames": 9}}',
            "line 1: video a: timestamps.0.1 = nan: Input should be a finite number",
        ),
    ],
)
def test_malformed_json_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "test.json").write_text(content)
    with pytest.raises(UserError) as caught:
        datasets.read(Dataset.TACOS, tmp_path, "test")
    assert str(caught.value).startswith(f"{tmp_path / 'test.json'} {message}")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    folder = charades_sta(tmp_path, "V1 0 1##a\n", LENGTHS)
    plain = datasets.read(Dataset.CHARADES_STA, folder, "train")
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert datasets.read(Dataset.CHARADES_STA, folder, "train") == plain


def query(**changes: Any) -> str:
    fields = {
        "qid": 7,
        "query": "a dog",
        "duration": 150,
        "vid": "x_0.0_150.0",
        "relevant_clip_ids": [3, 4],
        "saliency_scores": [[0, 1, 4], [2, 2, 2]],
        "relevant_windows": [[6, 8], [8, 10]],
    }
    return json.dumps(fields | changes)


def test_qvhighlights(tmp_path: Path) -> None:
    (tmp_path / "highlight_val_release.jsonl").write_text(query() + "\n")
    (tmp_path / "highlight_test_release.jsonl").write_text('{"qid": 8, "query": "b", "duration": 150, "vid": "y"}\n')
    assert datasets.read(Dataset.QVHIGHLIGHTS, tmp_path, "val") == [
        Moment("x_0.0_150.0", 7, "a dog", ((6.0, 8.0), (8.0, 10.0)), 150.0, "val", (3, 4), ((0, 1, 4), (2, 2, 2)))
    ]
    (tmp_path / "highlight_train_release.jsonl").write_text(query(saliency_scores=[[0, 1], [2, 2]]))
    assert datasets.read(Dataset.QVHIGHLIGHTS, tmp_path, "train")[0].saliency == ((0, 1), (2, 2))
    assert datasets.read(Dataset.QVHIGHLIGHTS, tmp_path, "test") == [Moment("y", 8, "b", (), 150.0, "test")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (query()[:-1], "not valid JSON"),
        ("7", "no object"),
        (query(query=3), "query = 3: Input should be a valid string"),
        (query(saliency_scores=[[0, 1, 4]]), "1 scores for 2 clips"),
        (query(saliency_scores=[[0, 1, 5], [0, 0, 0]]), "saliency_scores.0.2 = 5"),
        (query(saliency_scores=[[0, 1, 4], [0, 0]]), "scores of 2 people for one clip, of 3 for another"),
        (query(saliency_scores=[[], []]), "saliency_scores.0 = []: Tuple should have at least 1 item"),
        (query(relevant_windows=[[140, 152]]), "window [140, 152] outside the 150 s"),
        (query(relevant_windows=[]), "no relevant_windows"),
        (query(duration=1e9), "scored clips of a video of 1e+09 s, which is more than a week"),
    ],
)
def test_malformed_queries_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "highlight_train_release.jsonl"
    path.write_text(f"{query()}\n{line}\n")
    with pytest.raises(UserError) as caught:
        datasets.read(Dataset.QVHIGHLIGHTS, tmp_path, "train")
    assert str(caught.value).startswith(f"{path} line 2: {message}")
    assert "expected {qid, query, duration, vid}" in str(caught.value)


def test_wrong_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="charades_sta has no split 'val'; choose from train, test"):
        datasets.read(Dataset.CHARADES_STA, tmp_path, "val")
    with pytest.raises(UserError, match=r"val\.json does not exist; give the folder"):
        datasets.read(Dataset.TACOS, tmp_path, "val")


# Numbers of the published files (specs: mesm §4), without sentences that start after their video's end.
PUBLISHED = [
    ("charades_sta", {"train": 12405, "test": 3720}),
    ("charades_cd", {"train": 11071, "val": 859, "test_iid": 823, "test_ood": 3372}),
    ("charades_cg", {"train": 8281, "novel_word": 695, "novel_composition": 3442, "test_trivial": 3096}),
    ("tacos", {"train": 9790, "val": 4436, "test": 4001}),
    ("qvhighlights", {"train": 7218, "val": 1550, "test": 1542}),
]


@pytest.mark.parametrize(("name", "numbers"), PUBLISHED)
def test_published_files(name: str, numbers: dict[str, int]) -> None:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"needs ../shared/data/{name}, which is not published here")
    for split, number in numbers.items():
        moments = datasets.read(Dataset(name), folder, split)
        assert len(moments) == number
        assert len({moment.query_id for moment in moments}) == number
        for moment in moments:
            assert moment.windows or (name, split) == ("qvhighlights", "test")
            assert all(0 <= start < end <= moment.duration for start, end in moment.windows)

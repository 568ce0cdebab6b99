"""Annotation files under any name: what they are is told from their content, and they read as in their dataset's folder."""

import json
from pathlib import Path

import pytest

from pipeline_lib.annotations import by_path, datasets
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.core.errors import UserError

DATA = Path(__file__).parents[3] / "shared" / "data"
CONTENTS = {
    Dataset.CHARADES_STA: "V1 0.0 6.9##a cat sits.\nV1 9 30##it runs\n",
    Dataset.CHARADES_CD: json.dumps({"V1": {"timestamps": [[0, 6]], "sentences": ["a"], "video_duration": 10}}),
    Dataset.CHARADES_CG: json.dumps(
        {"V1": {"timestamps": [[0, 6]], "sentences": ["a"], "duration": 10, "news": []}}, indent=1
    ),
    Dataset.TACOS: json.dumps({"V1.avi": {"timestamps": [[0, 60]], "sentences": ["a"], "fps": 10, "num_frames": 90}}),
    Dataset.QVHIGHLIGHTS: json.dumps(
        {"qid": 4, "query": "a", "vid": "V1", "duration": 10, "relevant_windows": [[0, 6]]}
    ),
}


@pytest.mark.parametrize("dataset", Dataset)
def test_told_from_the_content(tmp_path: Path, dataset: Dataset) -> None:
    path = tmp_path / "annotations"
    path.write_text("\n" + CONTENTS[dataset])
    found, moments = by_path.read(path)
    assert found == dataset
    assert moments[0].windows in (((0.0, 6.0),), ((0.0, 6.9),)) and moments[0].split == "annotations"
    assert by_path.read(path, dataset) == (found, moments)


def test_durations_of_charades_sta(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "my_test.txt"
    path.write_text(CONTENTS[Dataset.CHARADES_STA])
    assert [(one.windows, one.duration) for one in by_path.read(path)[1]] == [(((0, 6.9),), 30), (((9, 30),), 30)]
    assert "without the videos' durations" in caplog.text
    (tmp_path / "Charades_v1_test.csv").write_text("id,length\nV1,20\n")
    assert by_path.read(path)[1][1].windows == ((9, 20),)
    (tmp_path / "lengths.csv").write_text("id,length\nV1,8\n")
    assert len(by_path.read(path, durations=tmp_path / "lengths.csv")[1]) == 1  # the other starts too late
    with pytest.raises(UserError, match="only charades_sta needs a file of durations"):
        by_path.read(path, Dataset.TACOS, tmp_path / "lengths.csv")


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"V1": 3}', '{"V1": {"sentences": []}}', "[" * 99_999, '{"query": 1}']
)
def test_unknown_files_are_an_error_that_says_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "annotations.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"annotations\.json looks like no annotation file of charades_sta, .*give"):
        by_path.read(path)


def test_published_files_are_told_apart() -> None:
    if not DATA.is_dir():
        pytest.skip("needs ../shared/data, which is not published here")
    told = {}
    for dataset in Dataset:
        split, name = list(datasets.splits(dataset).items())[1]
        if (DATA / dataset / name).is_file():
            told[dataset], moments = by_path.read(DATA / dataset / name)
            expected = datasets.read(dataset, DATA / dataset, split)
            assert [(one.query_id, one.windows) for one in moments] == [(one.query_id, one.windows) for one in expected]
    assert told and all(one == other for one, other in told.items())

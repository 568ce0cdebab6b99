"""The gold moments that moments.compare leaves beside its predictions can be read again, whatever their dataset."""

from dataclasses import replace
from pathlib import Path

from pipeline_lib.annotations import by_path
from pipeline_lib.annotations.datasets import Dataset
from pipeline_lib.annotations.moment import Moment
from pipeline_lib.moments import compare

GOLD = [
    Moment("s13.avi", 1, "Er öffnet die „Tür“", ((1 / 29.4, 700 / 29.4),), 700 / 29.4, "gold"),  # ends with its video
    Moment("a/b", 7, "an instant", ((5.0, 5.0),), 10.0, "gold"),
    Moment("v_0.0_150.0", 3, "rated", ((0.0, 4.0), (8.0, 10.0)), 150.0, "gold", (0, 1), ((4, 0, 2), (1, 1, 1))),
]


def test_gold_moments_are_read_as_they_were_written(tmp_path: Path) -> None:
    compare.write_gold(tmp_path / "gold.jsonl", GOLD)
    assert by_path.read(tmp_path / "gold.jsonl") == (Dataset.QVHIGHLIGHTS, GOLD)


def test_a_rounded_end_is_that_of_the_video(tmp_path: Path) -> None:
    compare.write_gold(tmp_path / "gold.jsonl", [replace(GOLD[1], windows=((5.0, 10.0004),))])
    assert by_path.read(tmp_path / "gold.jsonl")[1][0].windows == ((5.0, 10.0),)

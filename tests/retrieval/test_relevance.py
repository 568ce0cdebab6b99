"""Captions → relevance computed by hand, pooled, in blocks, and as the files that evaluation reads."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_lib.core.errors import UserError
from pipeline_lib.retrieval import iou, matrices, relevance, sides
from pipeline_lib.retrieval.annotations import Caption, Dataset, Proxy
from pipeline_lib.retrieval.names import read as read_names

CLIPS = [
    Caption("a", "a", "take plate", (0,), (2,)),
    Caption("b", "b", "take plate and cup", (0,), (2, 13)),
    Caption("c", "c", "put cup", (1,), (13,)),
    Caption("d", "d", "nothing", (), ()),
]


def iou_by_sets(a, b):
    return len(set(a) & set(b)) / max(1, len(set(a) | set(b)))


def test_mean_of_verb_and_noun_iou_by_hand():
    expected = [
        [1.0, 0.75, 0.0, 0.0],
        [0.75, 1.0, 0.25, 0.0],
        [0.0, 0.25, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],  # two empty sets have no overlap
    ]
    np.testing.assert_array_equal(relevance.relevance(CLIPS, CLIPS), expected)
    about = sides.by_caption(CLIPS, CLIPS)
    verbs = np.concatenate(list(relevance.blocks(about, relevance.Parts.VERBS)))
    assert verbs[:3, :3].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]  # not the mean with ones, as upstream
    nouns = np.concatenate(list(relevance.blocks(about, relevance.Parts.NOUNS)))
    assert nouns[1].tolist() == [0.5, 1.0, 0.5, 0.0]


def test_words_are_one_set():
    a, b = (Caption(name, name, name, words=words) for name, words in (("a", ("cut", "red")), ("b", ("cut", "cut"))))
    assert relevance.relevance([a, b], [a, b]).tolist() == [[1.0, 0.5], [0.5, 1.0]]


_SETS = st.lists(st.lists(st.sampled_from([0, 1, 2, "2", "cut", -1]), max_size=5), min_size=1, max_size=6)


@given(_SETS, _SETS)
@settings(max_examples=100, deadline=None)
def test_iou_is_that_of_sets_to_the_bit(rows, columns):
    found = iou.iou(*iou.encode(rows, columns))
    assert found.tolist() == [[iou_by_sets(a, b) for b in columns] for a in rows]


@pytest.mark.parametrize("cells", [1, 7, 10_000])
def test_blocks_make_up_the_same_matrix(cells):
    about = sides.by_caption(CLIPS, CLIPS[:3])
    found = list(relevance.blocks(about, cells=cells))
    assert max(map(len, found)) == min(4, max(1, cells // 3))
    np.testing.assert_array_equal(np.concatenate(found), relevance.relevance(CLIPS, CLIPS[:3]))


def test_classes_are_pooled_over_the_captions_of_a_video():
    captions = [(1, 1), (2,), (), (), (), (), (), ()]  # 1 twice in one caption: 2 of 8 is a quarter
    assert sides.pool(captions) == (1,)
    assert sides.pool(captions, 0.1) == (1, 2)
    assert sides.pool(captions[:4]) == (1, 2)


def test_a_row_per_video_a_column_per_caption():
    captions = [
        Caption("v_0", "v", "", (1,), (5,)),
        Caption("v_1", "v", "", (2,), (5,)),
        Caption("w_0", "w", "", (2,), (6,)),
    ]
    about = sides.by_video(captions, min_share=0.75)
    assert about.videos.parts == {"verbs": [(), (2,)], "nouns": [(5,), (6,)]}
    assert about.pairs.tolist() == [[0, 0], [0, 1], [1, 2]]
    matrix = np.concatenate(list(relevance.blocks(about)))
    assert matrix.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.5, 1.0]]
    turned = sides.by_video(captions, videos=["w", "v"])
    assert (turned.videos.ids, turned.captions.ids) == (["w", "v"], ["w_0", "v_0", "v_1"])
    assert turned.pairs.tolist() == [[0, 0], [1, 1], [1, 2]]
    with pytest.raises(UserError, match="1 of 2 videos have no captions with classes: x; give names and annotations"):
        sides.by_video(captions, videos=["v", "x"])


def test_captions_of_the_same_text_belong_to_each_others_videos_in_evaluation():
    texts = {"v_0": "a man sings", "v_1": "", "w_0": "a man sings", "w_1": "", "w_2": "a man sings"}
    captions = [Caption(name, name[0], text, (1,), (1,)) for name, text in texts.items()]
    assert sides.by_video(captions).pairs.tolist() == [[0, 0], [0, 1], [1, 2], [1, 3], [1, 4]]
    found = sides.by_video(captions, same_text=True).pairs.tolist()
    assert found == [[0, 0], [0, 1], [0, 2], [0, 4], [1, 0], [1, 2], [1, 3], [1, 4]]


def test_captions_belong_to_clips_of_the_same_text():
    again = Caption("e", "e", "take plate", (0,), (3,))
    about = sides.by_caption([*CLIPS, again], [CLIPS[0], CLIPS[2]])
    assert about.pairs.tolist() == [[0, 0], [2, 1], [4, 0]]


def epic(folder: Path) -> Path:
    lines = ["narration_id,narration,verb_class,all_noun_classes"]
    lines += [f'{one.caption_id},{one.text},{one.verbs[0]},"{list(one.nouns)}"' for one in CLIPS[:3]]
    (folder / "test.csv").write_text("\n".join(lines))
    return folder / "test.csv"


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "pipeline_lib.retrieval.relevance", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_command_writes_what_evaluation_reads_and_the_same_bytes_again(tmp_path):
    for name in ("one.hdf5", "two.hdf5"):
        done = command("--dataset", "epic100", "--annotations", epic(tmp_path), "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "one.hdf5").read_bytes() == (tmp_path / "two.hdf5").read_bytes()
    found = matrices.read(tmp_path / "one.hdf5")
    np.testing.assert_array_equal(found.values, relevance.relevance(CLIPS[:3], CLIPS[:3]))
    assert found.video_ids == found.caption_ids == ["a", "b", "c"]
    assert found.pairs is not None
    assert found.pairs.tolist() == [[0, 0], [1, 1], [2, 2]]
    with h5py.File(tmp_path / "one.hdf5") as file:
        assert file["rel_mat"].shape == (3, 3)  # upstream's key
        assert file.attrs["dataset"] == "epic100"


def test_the_command_names_mistakes_in_one_line(tmp_path):
    done = command("--dataset", "parsed", "--annotations", epic(tmp_path), "--out", tmp_path / "R.hdf5")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: proxy belongs to the dataset `parsed`")
    assert not (tmp_path / "R.hdf5").exists()


def test_captions_without_verbs_are_named(tmp_path, caplog):
    entries = {f"v_{i}": {"annotations": [{"verb_class": [1] * (i > 0), "noun_classes": [i]}]} for i in range(3)}
    path = tmp_path / "msrvtt.json"
    path.write_text(json.dumps({"database": entries}))
    about = relevance.collect(Dataset.MSRVTT, path)
    assert "1 captions have no verbs, so their IoU of verbs is 0: v_0" in caplog.text
    assert len(about.captions.ids) == 3
    for entry in entries.values():
        entry["annotations"][0]["verb_class"] = []
    path.write_text(json.dumps({"database": entries}))
    with pytest.raises(UserError, match="no caption has verbs; is this the right file"):
        relevance.collect(Dataset.MSRVTT, path)


def test_two_files_of_parsed_captions(tmp_path):
    for name, words in (("rows", [["cut"], ["wash"]]), ("columns", [["cut", "wash"]])):
        rows = [{"narration": " ".join(one), "non_stop_words": one} for one in words]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    about = relevance.collect(
        Dataset.PARSED, tmp_path / "rows.json", proxy=Proxy.BOW, against=tmp_path / "columns.json"
    )
    assert np.concatenate(list(relevance.blocks(about))).tolist() == [[0.5], [0.5]]
    with pytest.raises(UserError, match="these captions have words, no verbs"):
        next(relevance.blocks(about, relevance.Parts.VERBS))


def test_matrices_of_every_format(tmp_path):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "m.npy", values)
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(values))
    for name, options in (("plain", {}), ("packed", {"chunks": (1, 3), "compression": "gzip"})):
        with h5py.File(tmp_path / f"{name}.hdf5", "w") as file:
            file.create_dataset("rel_mat", data=values, **options)
    for name in ("m.npy", "m.pkl", "plain.hdf5", "packed.hdf5"):
        found = matrices.read(tmp_path / name)
        np.testing.assert_array_equal(found.values, values)
        assert found.video_ids is None
    matrices.main(tmp_path / "m.pkl", tmp_path / "R.hdf5", caption_ids=names(tmp_path, "x\ny\nz\n"))
    found = matrices.read(tmp_path / "R.hdf5")
    assert (found.video_ids, found.caption_ids, found.values.dtype) == (None, ["x", "y", "z"], np.float32)
    with pytest.raises(UserError, match=r"2 caption ids for a matrix of \(2, 3\)"):
        matrices.main(tmp_path / "m.pkl", tmp_path / "R.hdf5", caption_ids=names(tmp_path, "x\ny\n"))


def names(folder: Path, content: str) -> Path:
    (folder / "ids.txt").write_text(content)
    return folder / "ids.txt"


class Harmful:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def test_the_first_of_the_known_keys_is_read(tmp_path):
    with h5py.File(tmp_path / "both.hdf5", "w") as file:
        file["similarity"], file["rel_mat"] = np.zeros((2, 2)), np.ones((2, 2))
    assert matrices.read(tmp_path / "both.hdf5").values.tolist() == [[1, 1], [1, 1]]
    assert matrices.read(tmp_path / "both.hdf5", "similarity").values.tolist() == [[0, 0], [0, 0]]


def test_lists_of_names(tmp_path):
    np.save(tmp_path / "names.npy", np.array([b"a", "é".encode()]))
    assert read_names(tmp_path / "names.npy") == ["a", "é"]
    assert read_names(names(tmp_path, "a\n\nb\n")) == ["a", "b"]
    np.save(tmp_path / "latin.npy", np.array([b"\xe9"]))
    for path, message in (
        (names(tmp_path, "a\nb\nb\na\nb"), "names 'b' twice; names must be unique"),
        (tmp_path / "latin.npy", "save the names as text, a line each"),
        (tmp_path / "latin.npy" / "x.txt", "does not exist or is no file"),
        (tmp_path, "does not exist or is no file"),
    ):
        with pytest.raises(UserError, match=message):
            read_names(path)


def test_matrices_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harmful.pkl").write_bytes(pickle.dumps(Harmful()))
    np.save(tmp_path / "objects.npy", np.array([{"scores": 1}]), allow_pickle=True)
    np.save(tmp_path / "vector.npy", np.zeros(3))
    np.save(tmp_path / "empty.npy", np.zeros((0, 3)))
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([[1.0]]))
    (tmp_path / "broken.hdf5").write_bytes(b"no HDF5")
    (tmp_path / "broken.npy").write_bytes(b"no array")
    (tmp_path / "text.csv").write_text("1,2")
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["a"], file["b"] = np.zeros((1, 1)), np.zeros((1, 1))
    with h5py.File(tmp_path / "link.hdf5", "w") as file:
        file["rel_mat"] = h5py.ExternalLink(str(tmp_path / "other.hdf5"), "/a")
    for number, pairs in enumerate(([[0, 2]], [[-1, 0]], [[0.0, 0.0]], [[0, 0, 0]])):
        with h5py.File(tmp_path / f"pairs{number}.hdf5", "w") as file:
            file["rel_mat"], file["pairs"] = np.ones((2, 2)), np.array(pairs)
        with pytest.raises(UserError, match="pairs point outside of the 2 × 2 matrix"):
            matrices.read(tmp_path / f"pairs{number}.hdf5")
    for name, message in (
        ("harmful.pkl", "which is not data; nothing was executed"),
        ("objects.npy", "it holds pickled objects"),
        ("vector.npy", r"no matrix of real numbers but shape \(3,\)"),
        ("empty.npy", "empty matrix, 0 × 3"),
        ("list.pkl", "no matrix of real numbers but list"),
        ("broken.hdf5", "can't be read as HDF5"),
        ("broken.npy", "can't be read as a matrix"),
        ("text.csv", "matrices are read from .npy, .pkl and .hdf5"),
        ("other.hdf5", "has no dataset rel_mat or similarity, only a, b"),
        ("link.hdf5", "rel_mat lies in other files; copy it into one"),
        ("absent.npy", "does not exist"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            matrices.read(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()

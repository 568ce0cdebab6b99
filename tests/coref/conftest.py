"""A small world of concepts: every event is an actor and an action, features are their prototypes plus noise."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline_lib.config.coref import Coref
from pipeline_lib.core import files
from pipeline_lib.coref.inputs import Inputs
from pipeline_lib.text import vectors

ACTORS = ("truck", "boat", "tower", "crowd", "drone", "house")
ACTIONS = ("burns", "floats", "falls", "turns")
OPTIONS = {
    "data": {"max_words": 6, "look_window": 0, "candidates": 3, "candidates_eval": 3, "n_pair": 4, "standardise": True},
    "model": {"dimension": 32},
    "training": {"epochs": 12, "batch_videos": 6, "learning_rate": 3e-3, "temperature": 0.1},
    "evaluation": {"temperature": 0.1, "bootstrap": 50},
}


@dataclass
class World:
    """Files of a synthetic data set, and how to open them."""

    folder: Path

    @property
    def paths(self) -> dict[str, Path]:
        names = ("captions.json", "annotations.json", "objects.hdf5", "s3d.hdf5", "words.safetensors")
        return {name.split(".")[0]: self.folder / name for name in names}

    def open(self, options: Coref) -> Inputs:
        paths = self.paths
        files_ = (paths["captions"], paths["annotations"], paths["objects"], [paths["s3d"]], paths["words"])
        return Inputs(*files_, options.data)


@pytest.fixture
def options() -> Coref:
    return Coref.model_validate(OPTIONS)


@pytest.fixture
def world(tmp_path) -> World:
    """24 training videos, 6 of val and 6 of test; three events of 6 s each, clip features per 3 s, objects per 3 s."""
    rng = np.random.default_rng(0)
    prototypes = {word: rng.normal(size=16) for word in ACTORS + ACTIONS}
    captions, annotations = {}, {}
    with h5py.File(tmp_path / "objects.hdf5", "w") as objects, h5py.File(tmp_path / "s3d.hdf5", "w") as clips:
        for file in (objects, clips):
            file.attrs.update({"spec": '{"stage":"synthetic"}', "step": 3.0, "start": 0.0})
        for index in range(36):
            video_id = f"video{index:02d}"
            split = "train" if index < 24 else "val" if index < 30 else "test"
            shown = [(str(rng.choice(ACTORS)), str(rng.choice(ACTIONS))) for _ in range(3)]
            while len(set(shown)) < 3:
                shown = [(str(rng.choice(ACTORS)), str(rng.choice(ACTIONS))) for _ in range(3)]
            texts = [f"the {actor} {action} here" for actor, action in shown]
            rows = np.stack([prototypes[a] + prototypes[b] for a, b in shown for _ in range(2)])
            clips[video_id] = (rows + 0.3 * rng.normal(size=rows.shape)).astype("f4")
            group = objects.create_group(video_id)
            features = rows[:, None] + 0.5 * rng.normal(size=(6, 4, 16))
            group["features"] = features.astype("f4")
            group["boxes"] = np.zeros((6, 4, 4), "f4")
            group["scores"] = np.full((6, 4), 0.9, "f4")
            group["labels"] = np.ones((6, 4), "i8")
            captions[video_id] = {
                "title": video_id,
                "article": " ".join(texts),
                "captions": [{"start": 6.0 * i, "duration": 5.9, "text": text} for i, text in enumerate(texts)],
                "caption_kind": "manual",
                "language": "en",
            }
            others = [f"the {a} {b} there" for a in ACTORS[:2] for b in ACTIONS[:2] if (a, b) not in shown][:2]
            annotations[video_id] = {
                "split": split,
                "duration": 18.0,
                "article_sentences": texts + others,
                "temporal_proposals": [5.8, 12.2],
                "events": [{"start": 6.0 * i, "end": 6.0 * i + 5.9, "type": b} for i, (_, b) in enumerate(shown)],
                "event_coreference": [[i, i] for i in range(3)],
            }
    files.write_json(tmp_path / "captions.json", captions)
    files.write_json(tmp_path / "annotations.json", annotations)
    vectors.derive((entry["article"] for entry in captions.values()), 32, 0).save(tmp_path / "words.safetensors")
    return World(tmp_path)

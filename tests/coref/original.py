"""A small data set in the shapes of the original project, and the same files as this project's."""

import json
from pathlib import Path

import numpy as np

from pipeline_lib.config.coref import Coref
from pipeline_lib.coref import from_upstream, to_upstream
from pipeline_lib.coref.inputs import Inputs
from pipeline_lib.text import vectors

DIM, BOXES = 8, 10
SENTENCES = ["The truck burns.", "Nobody came, he said.", "A boat floats in the harbour."]
#: Of 0.05 s steps: many ends fall on whole rows of 1 or 1.5 a second, where rounding would show.
SEGMENTS = [(0.05, 3.1), (3.1, 7.35), (7.3, 12.0), (12.0, 12.6), (14.0, 22.0), (21.5, 31.0)]


class Original:
    """Writes the files; every array is drawn anew."""

    def __init__(self, folder: Path, dimension: int = DIM, seed: int = 0) -> None:
        self.folder, self.dimension = folder, dimension
        self.rng = np.random.default_rng(seed)

    def array(self, name: str, *shape: int, dtype: str = "f4") -> np.ndarray:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = self.rng.normal(size=(*shape, self.dimension)).astype(dtype)
        np.save(path, drawn)
        return drawn

    def rows(self, folder: str, name: str, seconds: float) -> None:
        """Global features: 1 and 1.5 rows a second, half precision."""
        self.array(f"{folder}/2d/{name}.npy", int(seconds) + 1, dtype="f2")
        self.array(f"{folder}/3d/{name}.npy", int(seconds * 1.5) + 1, dtype="f2")

    def training(self, videos: int = 2, segments=SEGMENTS) -> Path:
        table = {}
        for video in range(videos):
            name = f"train{video}"
            self.rows("train_feats", name, segments[-1][1])
            table[name] = {}
            for place, (start, end) in enumerate(segments):
                file = f"train_objects/{name}_{place}.npy"
                self.array(file, BOXES)
                table[name][str((start + end) / 2)] = {
                    "start_sec": start,
                    "end_sec": end,
                    "text": f"the truck burns {place} boats",
                    "features_path": file,
                    "obj_detec_confidence": self.rng.choice([0.3, 0.59999999, 0.6, 0.9], BOXES).tolist(),
                }
        return self.write("train.json", table)

    def clips(self, split: str, articles=(SENTENCES, SENTENCES)) -> Path:
        table = {}
        for place, sentences in enumerate(articles):
            name, frames = f"{split}_clip{place}", 1 + 2 * (place % 2)
            self.rows("clip_feats", name, 7.0 + place)
            self.array(f"clip_objects/{name}.npy", frames, BOXES)
            table[name] = {
                "article_sentences": [
                    [text, "EVENT_COREFERENCE" if i == 2 * place % len(sentences) else "NA"]
                    for i, text in enumerate(sentences)
                ],
                "features_path": f"clip_objects/{name}.npy",
                "detection_class_names": [["truck"] * 5 + ["boat"] * 5] * frames,
            }
        return self.write(f"{split}_clips.json", table)

    def videos(self, split: str) -> Path:
        table = {}
        for place in range(2):
            name = f"{split}_video{place}"
            self.rows("video_feats", name, 40.0)
            self.array(f"video_objects/{name}.npy", 12, BOXES)
            table[name] = {
                "temporal_proposals": [4.5, 13.5, 20.25],
                "vid_duration": 40.0,
                "article_sentences": SENTENCES,
                "features_path": f"video_objects/{name}.npy",
                "detection_class_names": [["truck"] * BOXES] * 12,
                "event_coreference_text": [[[4.5, 13.5], SENTENCES[0]], [[0.0, 4.0], 2], [20, 38.5, SENTENCES[0]]],
            }
        return self.write(f"{split}_videos.json", table)

    def write(self, name: str, table: dict) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(table))
        return path

    def convert(self, **given) -> Path:
        out = self.folder / "ours"
        given = {"root": self.folder, "dimension": self.dimension} | given
        for split, folder in (("train", "train_feats"), ("eval", "clip_feats")):
            given.setdefault(f"{split}_features", self.folder / folder)
        from_upstream.main(out, **given)
        return out


def opened(folder: Path, options: Coref) -> Inputs:
    """The converted files, with word vectors of their own."""
    words = folder / "words.safetensors"
    if not words.exists():
        vectors.derive([*SENTENCES, "the truck burns boats"], 16, 0).save(words)
    features = [folder / "resnet152.hdf5", folder / "resnext101.hdf5"]
    names = ("vid2article_master_filtered.json", "annotations.json", "objects.hdf5")
    return Inputs(*(folder / name for name in names), features, words, options.data)


def exported(folder: Path, out: Path, n_pair: int = 1) -> Path:
    """Converted files, written back in the original's shapes."""
    names = (
        "vid2article_master_filtered.json",
        "annotations.json",
        "objects.hdf5",
        "resnet152.hdf5",
        "resnext101.hdf5",
    )
    to_upstream.main(*(folder / name for name in names), out, folder / "objects_vocab.txt", n_pair)
    return out

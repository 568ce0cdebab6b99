# What moments.smk is made from: files of this pipeline's videos or of a published dataset, options of training and prediction.
from pipeline_lib.annotations import datasets

MOMENTS = config["moments"]
OWN_MOMENTS = MOMENTS["dataset"] == "own"  # this pipeline's videos, not files of a published dataset
MOMENTS_CLIP = MOMENTS["data"]["tokenizer"] == "clip"
MEASURED = MOMENTS["splits"]["test"]  # the first one's result is results/moments_eval.json


def moments_files():
    """Options of the modules → the files that are read."""
    words = "<work>/weights/clip.safetensors" if MOMENTS_CLIP else "<work>/words.safetensors"
    counts = f"<results>/{'CLIP' if MOMENTS_CLIP else 'GloVe'}_tokenized_count.txt"
    found = {"vocabulary": MOMENTS["data"]["vocabulary"] or counts}
    if MOMENTS["data"]["tokenizer"] != "glove_pkl":
        found["words"] = MOMENTS["data"]["words"] or words
    if not OWN_MOMENTS:
        return found | {"features": MOMENTS["features"]}
    return found | {
        "features": expand("<work>/{feature}.hdf5", feature=MOMENTS["own_features"]),
        "annotations": "<work>/annotations.json",
        "captions": "<work>/vid2article_master_filtered.json",
    }


def moments_annotations(*splits):
    """Annotation files of splits of a published dataset, so that other ones train or measure again."""
    if OWN_MOMENTS:
        return []
    dataset, folder = datasets.Dataset(MOMENTS["dataset"]), Path(MOMENTS["annotations"])
    return [str(path) for split in dict.fromkeys(splits) for path in datasets.files(dataset, folder, split)]


def moments_options():
    """The section without what training doesn't use, so that other values there don't train again."""
    kept = {key: value for key, value in MOMENTS.items() if key != "evaluation"}
    return json.dumps(kept | {"splits": {**MOMENTS["splits"], "test": ["test"]}})


def moments_eval(place):
    """The result of the split in this place of moments.splits.test; those after the first carry its name."""
    return "<results>/moments_eval" if place == 0 else f"<results>/moments_eval_{MEASURED[place]}"

# What retrieval.smk is made from: the files of a split, the options of a training.

RETRIEVAL = config["retrieval"]
OWN = RETRIEVAL["dataset"] == "captions"  # this pipeline's videos, not files of a published dataset
DEMO = config["source"]["kind"] == "demo"  # whose words are known; those of other films have to be given
LEXICON = RETRIEVAL["lexicon"] or ("<work>/retrieval/lexicon.json" if OWN and DEMO else None)
LOSSES = RETRIEVAL["evaluation"]["losses"]
RETRIEVAL_GRAPHS = RETRIEVAL["role_graphs"] or "<work>/retrieval/role_graphs.json"
RETRIEVAL_FEATURES = {
    split: expand("<work>/{feature}.hdf5", feature=RETRIEVAL["features"]) if OWN else RETRIEVAL[split]["features"]
    for split in ("train", "val", "test")
}


def retrieval_files(split):
    """Options of pipeline_lib.retrieval.prepare → the files that a split is made from."""
    if OWN and LEXICON is None:
        raise WorkflowError(
            "retrieval by captions needs to know which words are verbs and nouns; give retrieval.lexicon, a file "
            '{"verbs": {class: [word, ...]}, "nouns": {...}}: docs/retrieval.md'
        )
    if OWN:
        captions = "<work>/vid2article_master_filtered.json"
        return {"captions": captions, "annotations": "<work>/annotations.json", "lexicon": LEXICON}
    return {key: RETRIEVAL[split][key] for key in ("annotations", "sentences", "videos") if RETRIEVAL[split][key]}


def retrieval_options(loss):
    """The section with a loss in it, and without what training doesn't use, so that other values there don't train again."""
    kept = {**RETRIEVAL, "training": {**RETRIEVAL["training"], "loss": loss}}
    return json.dumps(kept | {"evaluation": {"batch": RETRIEVAL["evaluation"]["batch"]}})

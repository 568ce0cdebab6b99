# Captions, or the files of a published dataset → splits, lexicon and role graphs that retrieval.smk reads.

RETRIEVAL = config["retrieval"]
OWN = RETRIEVAL["dataset"] == "captions"  # this pipeline's videos, not files of a published dataset
LEXICON = RETRIEVAL["lexicon"] or ("<work>/retrieval/lexicon.json" if OWN else None)
RETRIEVAL_GRAPHS = RETRIEVAL["role_graphs"] or "<work>/retrieval/role_graphs.json"
RETRIEVAL_FEATURES = {
    split: expand("<work>/{feature}.hdf5", feature=RETRIEVAL["features"]) if OWN else RETRIEVAL[split]["features"]
    for split in ("train", "val", "test")
}


def retrieval_files(split):
    """Options of pipeline_lib.retrieval.prepare → the files that a split is made from."""
    if OWN:
        captions = "<work>/vid2article_master_filtered.json"
        return {"captions": captions, "annotations": "<work>/annotations.json", "lexicon": LEXICON}
    return {key: RETRIEVAL[split][key] for key in ("annotations", "sentences", "videos") if RETRIEVAL[split][key]}


def named(**files):
    """Files as command-line options, those left out that aren't there."""
    lists = {key: [value] if isinstance(value, str) else value for key, value in files.items() if value}
    return [f"--{key.replace('_', '-')}={path}" for key, paths in lists.items() for path in paths]


rule retrieval_lexicon:
    output:
        "<work>/retrieval/lexicon.json",
    log:
        "<work>/logs/retrieval/lexicon.log",
    conda:
        "../../envs/data.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.collect.sources.demo.lexicon"),
    shell:
        "python -m pipeline_lib.collect.sources.demo.lexicon --out {output} 2> {log}"


rule retrieval_split:
    input:
        lambda wildcards: list(retrieval_files(wildcards.split).values()),
    output:
        "<work>/retrieval/{split}.json",
    log:
        "<work>/logs/retrieval/{split}.log",
    wildcard_constraints:
        split="train|val|test",
    conda:
        "../../envs/learning.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.retrieval.prepare"),
        dataset=RETRIEVAL["dataset"],
        min_share=RETRIEVAL["data"]["min_share"],
        files=lambda wildcards, input: named(**dict(zip(retrieval_files(wildcards.split), input, strict=True))),
    shell:
        "python -m pipeline_lib.retrieval.prepare --split {wildcards.split} --dataset {params.dataset} {params.files:q}"
        " --min-share {params.min_share} --out {output} 2> {log}"


rule retrieval_role_graphs:
    input:
        splits=expand("<work>/retrieval/{split}.json", split=["train", "val", "test"]),
        lexicon=LEXICON if RETRIEVAL["parser"] == "lexicon" and LEXICON else [],
    output:
        "<work>/retrieval/role_graphs.json",
    log:
        "<work>/logs/retrieval/role_graphs.log",
    conda:
        "../../envs/learning.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.retrieval.role_graphs"),
        files=lambda wildcards, input: named(captions=input.splits, lexicon=input.lexicon),
        parser=RETRIEVAL["parser"],
        model=RETRIEVAL["spacy_model"],
    shell:
        "python -m pipeline_lib.retrieval.role_graphs {params.files:q} --parser {params.parser}"
        " --spacy-model {params.model:q} --out {output} 2> {log}"

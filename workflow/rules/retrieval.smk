# Splits and features → HGR trained with each loss of retrieval.evaluation.losses → results/retrieval_eval.json and .md.
# No part of `rule all`: ask for these files.

LOSSES = RETRIEVAL["evaluation"]["losses"]


def retrieval_options(loss):
    """The section with a loss in it, and without what training doesn't use, so that other values there don't train again."""
    kept = {**RETRIEVAL, "training": {**RETRIEVAL["training"], "loss": loss}}
    return json.dumps(kept | {"evaluation": {"batch": RETRIEVAL["evaluation"]["batch"]}})


rule retrieval_train:
    input:
        train="<work>/retrieval/train.json",
        val="<work>/retrieval/val.json",
        role_graphs=RETRIEVAL_GRAPHS,
        train_features=RETRIEVAL_FEATURES["train"],
        val_features=RETRIEVAL_FEATURES["val"],
        train_names=if_path(RETRIEVAL["train"]["videos"]),
        val_names=if_path(RETRIEVAL["val"]["videos"]),
        relevance=if_path(RETRIEVAL["val"]["relevance"]),
        words=RETRIEVAL["words"] or ("<work>/words.safetensors" if OWN else []),
        vocabulary=if_path(RETRIEVAL["vocabulary"]),
        pretrained=if_path(RETRIEVAL["model"]["pretrained"]),
    output:
        checkpoint="<work>/retrieval/{loss}/hgr.safetensors",
        log="<work>/retrieval/{loss}/training.csv",
        plot=report(
            "<results>/retrieval_training_{loss}.svg",
            caption="../report/retrieval_training.rst",
            category="Retrieval",
        ),
    log:
        "<work>/logs/retrieval/train_{loss}.log",
    benchmark:
        "<work>/benchmarks/retrieval/train_{loss}.tsv"
    wildcard_constraints:
        loss="[a-z_]+",
    conda:
        "../../envs/learning.yaml"
    threads: RETRIEVAL["training"]["threads"] * RETRIEVAL["training"]["processes"]
    resources:
        gpu=config["features"]["gpus"] * RETRIEVAL["training"]["processes"],
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.retrieval.train"),
        options=lambda wildcards: retrieval_options(wildcards.loss),
        device=config["features"]["device"],
        launch=launch("retrieval"),
        files=lambda wildcards, input: named(**{key: value for key, value in input.items() if key != "pretrained"}),
        state=lambda wildcards: f"{WORK}/retrieval/{wildcards.loss}/training",
    shell:
        "{params.launch} -m pipeline_lib.retrieval.train {params.files:q} --options {params.options:q}"
        " --device {params.device} --out {output.checkpoint} --log {output.log} --plot {output.plot}"
        " --state {params.state:q} 2> {log}"


rule retrieval_eval:
    input:
        checkpoints=expand("<work>/retrieval/{loss}/hgr.safetensors", loss=LOSSES),
        split="<work>/retrieval/test.json",
        role_graphs=RETRIEVAL_GRAPHS,
        features=RETRIEVAL_FEATURES["test"],
        names=if_path(RETRIEVAL["test"]["videos"]),
        relevance=if_path(RETRIEVAL["test"]["relevance"]),
        weights=expand("<work>/weights/{network}.json", network=RETRIEVAL["features"]) if OWN else [],
    output:
        result="<results>/retrieval_eval.json",
        table="<results>/retrieval_eval.md",
        relevance="<work>/retrieval/test/relevance.hdf5",
        similarities=expand("<work>/retrieval/test/{loss}.hdf5", loss=LOSSES),
    log:
        "<work>/logs/retrieval/eval.log",
    benchmark:
        "<work>/benchmarks/retrieval/eval.tsv"
    conda:
        "../../envs/learning.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.retrieval.compare"),
        files=lambda wildcards, input: named(**{key: value for key, value in input.items() if key != "checkpoints"}),
        matrices=lambda wildcards, output: Path(output.relevance).parent,
        bootstrap=RETRIEVAL["evaluation"]["bootstrap"],
        batch=RETRIEVAL["evaluation"]["batch"],
        device=config["features"]["device"],
    shell:
        "python -m pipeline_lib.retrieval.compare {input.checkpoints:q} {params.files:q} --matrices {params.matrices:q}"
        " --bootstrap {params.bootstrap} --batch {params.batch} --device {params.device} --out {output.result} > {log} 2>&1"

# Captions, or the files of a published dataset, and features → splits and role graphs → HGR trained with each loss of
# retrieval.evaluation.losses → results/retrieval_eval.json and .md. No part of `rule all`: ask for these files.


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
        " --device {params.device} --out {output.checkpoint} --training-log {output.log} --plot {output.plot}"
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
    log:
        "<work>/logs/retrieval/eval.log",
    benchmark:
        "<work>/benchmarks/retrieval/eval.tsv"
    conda:
        "../../envs/learning.yaml"
    resources:
        gpu=config["features"]["gpus"],
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

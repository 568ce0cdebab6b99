# Features, captions and gold → trained MILO and results/coref_eval.json.


COREF_FEATURES = expand("<work>/{feature}.hdf5", feature=config["coref"]["features"])


rule coref_train:
    input:
        captions="<work>/vid2article_master_filtered.json",
        annotations="<work>/annotations.json",
        objects="<work>/objects.hdf5",
        features=COREF_FEATURES,
        words="<work>/words.safetensors",
        pretrained=if_path(config["coref"]["model"]["pretrained"]),
    output:
        checkpoint="<work>/coref/milo.safetensors",
        log="<work>/coref/training.csv",
        plot=report("<results>/coref_training.svg", caption="../report/coref_training.rst", category="Coreference"),
    log:
        "<work>/logs/coref_train.log",
    benchmark:
        "<work>/benchmarks/coref_train.tsv"
    conda:
        "../../envs/learning.yaml"
    threads: config["coref"]["training"]["threads"] * config["coref"]["training"]["processes"]
    resources:
        gpu=config["features"]["gpus"] * config["coref"]["training"]["processes"],
    params:
        code=fingerprint("pipeline_lib.coref.train"),
        options=section("coref"),
        device=config["features"]["device"],
        launch=launch("coref"),
        features=lambda wildcards, input: [f"--features={path}" for path in input.features],
        state=f"{WORK}/coref/training",
    shell:
        "{params.launch} -m pipeline_lib.coref.train --captions {input.captions} --annotations {input.annotations}"
        " --objects {input.objects} {params.features:q} --words {input.words} --options {params.options:q} --device {params.device}"
        " --out {output.checkpoint} --log {output.log} --plot {output.plot} --state {params.state:q} 2> {log}"


rule coref_eval:
    input:
        checkpoint="<work>/coref/milo.safetensors",
        captions="<work>/vid2article_master_filtered.json",
        annotations="<work>/annotations.json",
        objects="<work>/objects.hdf5",
        features=COREF_FEATURES,
        words="<work>/words.safetensors",
        weights=expand("<work>/weights/{network}.json", network=["objects", *config["coref"]["features"]]),
    output:
        report(
            "<results>/coref_eval.json",
            caption="../report/coref_eval.rst",
            category="Coreference",
        ),
    log:
        "<work>/logs/coref_eval.log",
    benchmark:
        "<work>/benchmarks/coref_eval.tsv"
    conda:
        "../../envs/learning.yaml"
    params:
        code=fingerprint("pipeline_lib.coref.evaluate"),
        config=section(""),
        features=lambda wildcards, input: [f"--features={path}" for path in input.features],
        weights=lambda wildcards, input: [f"--weights={path}" for path in input.weights],
        device=config["features"]["device"],
    shell:
        "python -m pipeline_lib.coref.evaluate --checkpoint {input.checkpoint} --captions {input.captions}"
        " --annotations {input.annotations} --objects {input.objects} {params.features:q} --words {input.words}"
        " {params.weights:q} --config {params.config:q} --device {params.device} --out {output} 2> {log}"

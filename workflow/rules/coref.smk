# Features, captions and gold → trained MILO and results/coref_eval.json.


COREF_FEATURES = expand("<work>/{feature}.hdf5", feature=config["coref"]["features"])
BASELINES = config["coref"]["evaluation"]["baselines"]

# What one baseline alone needs: option of pipeline_lib.coref.evaluate → file.
BASELINE_FILES = {
    "clip": {"clip": "<work>/clip.hdf5", "clip-weights": "<work>/weights/clip.safetensors"},
    "mil_nce": {"s3d": "<work>/s3d.hdf5", "s3d-weights": "<work>/weights/s3d.safetensors"},
}
NEEDED = {option: path for baseline in BASELINES for option, path in BASELINE_FILES.get(baseline, {}).items()}
NETWORKS_USED = list(dict.fromkeys(["objects", *config["coref"]["features"], *sorted(NETWORKS.keys() & NEEDED)]))

# Stage whose artefacts the page's pictures come from.
PICTURES = "frames" if config["frames"]["store"] else "videos"


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
        options=literal(json.dumps(training_options(config["coref"]))),
        device=config["features"]["device"],
        launch=launch("coref"),
        features=lambda wildcards, input: [f"--features={path}" for path in input.features],
    shell:
        "{params.launch} -m pipeline_lib.coref.train --captions {input.captions} --annotations {input.annotations}"
        " --objects {input.objects} {params.features:q} --words {input.words} --options {params.options:q} --device {params.device}"
        " --out {output.checkpoint} --training-log {output.log} --plot {output.plot} 2> {log}"


rule coref_eval:
    input:
        checkpoint="<work>/coref/milo.safetensors",
        captions="<work>/vid2article_master_filtered.json",
        annotations="<work>/annotations.json",
        objects="<work>/objects.hdf5",
        features=COREF_FEATURES,
        words="<work>/words.safetensors",
        weights=expand("<work>/weights/{network}.json", network=NETWORKS_USED),
        baselines=list(NEEDED.values()),
        dictionary=if_path(config["coref"]["evaluation"]["mil_nce_dictionary"]),
    output:
        result=report(
            "<results>/coref_eval.json",
            caption="../report/coref_eval.rst",
            category="Coreference",
        ),
        predictions="<work>/coref/predictions.json",
    log:
        "<work>/logs/coref_eval.log",
    benchmark:
        "<work>/benchmarks/coref_eval.tsv"
    conda:
        "../../envs/learning.yaml"
    resources:
        gpu=config["features"]["gpus"],
    params:
        code=fingerprint("pipeline_lib.coref.evaluate"),
        config=section(""),
        features=lambda wildcards, input: [f"--features={path}" for path in input.features],
        weights=lambda wildcards, input: [f"--weights={path}" for path in input.weights],
        baselines=lambda wildcards, input: [
            f"--{option}={path}" for option, path in zip(NEEDED, input.baselines, strict=True)
        ],
        device=config["features"]["device"],
    shell:
        "python -m pipeline_lib.coref.evaluate --checkpoint {input.checkpoint} --captions {input.captions}"
        " --annotations {input.annotations} --objects {input.objects} {params.features:q} --words {input.words}"
        " {params.weights:q} {params.baselines:q} --config {params.config:q} --device {params.device}"
        " --predictions {output.predictions} --out {output.result} 2> {log}"


rule coref_tables:
    input:
        "<results>/coref_eval.json",
    output:
        markdown="<results>/coref_eval.md",
        html=report("<results>/coref_eval.html", caption="../report/coref_eval.rst", category="Coreference"),
    log:
        "<work>/logs/coref_tables.log",
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.coref.tables"),
    shell:
        "python -m pipeline_lib.coref.tables {input} --out {output.markdown} --html {output.html} 2> {log}"


rule coref_report:
    input:
        predictions="<work>/coref/predictions.json",
        captions="<work>/vid2article_master_filtered.json",
        objects="<work>/objects.hdf5",  # after all pictures, so these aren't named: a thousand inputs less to plan
    output:
        report("<results>/coref_report.html", caption="../report/coref_report.rst", category="Coreference"),
    log:
        "<work>/logs/coref_report.log",
    benchmark:
        "<work>/benchmarks/coref_report.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.coref.report"),
        templates=templates("pipeline_lib.coref", "pipeline_lib.report"),
        stage=PICTURES,
        ledgers=f"{WORK}/{PICTURES}",
        every=config["frames"]["every"],
        video=section("video"),
    shell:
        "python -m pipeline_lib.coref.report --predictions {input.predictions} --captions {input.captions}"
        " --objects {input.objects} --{params.stage} {params.ledgers:q} --every {params.every} --video {params.video:q} --out {output} 2> {log}"

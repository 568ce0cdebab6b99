# Features, captions and gold → trained MILO and results/coref_eval.json.


rule coref_train:
    input:
        captions="<work>/vid2article_master_filtered.json",
        annotations="<work>/annotations.json",
        objects="<work>/objects.hdf5",
        features="<work>/s3d.hdf5",
        words="<work>/words.safetensors",
        pretrained=if_path(config["coref"]["model"]["pretrained"]),
    output:
        checkpoint="<work>/coref/milo.safetensors",
        log="<work>/coref/training.csv",
    log:
        "<work>/logs/coref_train.log",
    benchmark:
        "<work>/benchmarks/coref_train.tsv"
    conda:
        "../../envs/learning.yaml"
    resources:
        gpu=config["features"]["gpus"],
    params:
        code=fingerprint("pipeline_lib.coref.train"),
        options=section("coref"),
        device=config["features"]["device"],
    shell:
        "python -m pipeline_lib.coref.train --captions {input.captions} --annotations {input.annotations}"
        " --objects {input.objects} --features {input.features} --words {input.words} --options {params.options:q}"
        " --device {params.device} --out {output.checkpoint} --log {output.log} 2> {log}"


rule coref_eval:
    input:
        checkpoint="<work>/coref/milo.safetensors",
        captions="<work>/vid2article_master_filtered.json",
        annotations="<work>/annotations.json",
        objects="<work>/objects.hdf5",
        features="<work>/s3d.hdf5",
        words="<work>/words.safetensors",
        weights=expand("<work>/weights/{network}.json", network=["s3d", "objects"]),
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
        weights=lambda wildcards, input: [f"--weights={path}" for path in input.weights],
        device=config["features"]["device"],
    shell:
        "python -m pipeline_lib.coref.evaluate --checkpoint {input.checkpoint} --captions {input.captions}"
        " --annotations {input.annotations} --objects {input.objects} --features {input.features} --words {input.words}"
        " {params.weights} --config {params.config:q} --device {params.device} --out {output} 2> {log}"

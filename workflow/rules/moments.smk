# Sentences and features → MESM, chosen on val → results/moments_eval.json and .md, results/moments_report.html; of further
# splits in moments.splits.test results/moments_eval_<split>.json. No part of `rule all`: ask for these files.


rule moments_train:
    input:
        **moments_files(),
        published=moments_annotations(MOMENTS["splits"]["train"], MOMENTS["splits"]["val"]),
        pretrained=if_path(MOMENTS["model"]["pretrained"]),
    output:
        checkpoint="<work>/moments/mesm.safetensors",
        log="<work>/moments/training.csv",
        plot=report("<results>/moments_training.svg", caption="../report/moments_training.rst", category="Moments"),
    log:
        "<work>/logs/moments/train.log",
    benchmark:
        "<work>/benchmarks/moments/train.tsv"
    conda:
        "../../envs/learning.yaml"
    threads: MOMENTS["training"]["threads"] * MOMENTS["training"]["processes"]
    resources:
        gpu=config["features"]["gpus"] * MOMENTS["training"]["processes"],
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.moments.train"),
        options=literal(moments_options()),
        device=config["features"]["device"],
        launch=launch("moments"),
        files=lambda wildcards, input: named(**{name: input.get(name) for name in moments_files()}),
        state=lambda wildcards, output: Path(output.checkpoint).with_name("training"),
    shell:
        "{params.launch} -m pipeline_lib.moments.train {params.files:q} --options {params.options:q}"
        " --device {params.device} --out {output.checkpoint} --training-log {output.log} --plot {output.plot}"
        " --state {params.state:q} 2> {log}"


for place, measured in enumerate(MEASURED):

    rule:
        name:
            f"moments_eval_{measured}" if place else "moments_eval"
        input:
            **moments_files(),
            published=moments_annotations(MOMENTS["splits"]["train"], measured),
            checkpoint="<work>/moments/mesm.safetensors",
            weights=expand("<work>/weights/{network}.json", network=MOMENTS["own_features"]) if OWN_MOMENTS else [],
        output:
            result=f"{moments_eval(place)}.json",
            table=f"{moments_eval(place)}.md",
            gold=f"<work>/moments/{measured}/gold.jsonl",
            predictions=f"<work>/moments/{measured}/mesm.jsonl",
        log:
            f"<work>/logs/moments/eval_{measured}.log",
        benchmark:
            f"<work>/benchmarks/moments/eval_{measured}.tsv"
        conda:
            "../../envs/learning.yaml"
        resources:
            gpu=config["features"]["gpus"],
        params:
            code=lambda wildcards: fingerprint("pipeline_lib.moments.compare"),
            options=section("moments"),
            split=measured,
            device=config["features"]["device"],
            files=lambda wildcards, input: named(**{name: input.get(name) for name in moments_files()}),
            weights=lambda wildcards, input: named(weights=input.weights),
            folder=lambda wildcards, output: Path(output.gold).parent,
        shell:
            "python -m pipeline_lib.moments.compare --checkpoint {input.checkpoint} --split {params.split:q} {params.files:q}"
            " {params.weights:q} --options {params.options:q} --device {params.device}"
            " --predictions {params.folder:q} --out {output.result} > {log} 2>&1"


rule moments_report:
    input:
        predictions=f"<work>/moments/{MEASURED[0]}/mesm.jsonl",
        gold=f"<work>/moments/{MEASURED[0]}/gold.jsonl",
        pictures=lambda wildcards: ledgers(PICTURES) if OWN_MOMENTS else [],
    output:
        report("<results>/moments_report.html", caption="../report/moments_report.rst", category="Moments"),
    log:
        "<work>/logs/moments/report.log",
    benchmark:
        "<work>/benchmarks/moments/report.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.moments.report"),
        templates=templates("pipeline_lib.moments", "pipeline_lib.report"),
        pictures=lambda wildcards: (
            [f"--{PICTURES}={WORK}/{PICTURES}", f"--every={config['frames']['every']}"] if OWN_MOMENTS else []
        ),
        options=section("moments/evaluation"),
        video=section("video"),
    shell:
        "python -m pipeline_lib.moments.report --predictions {input.predictions} --annotations {input.gold}"
        " {params.pictures:q} --options {params.options:q} --video {params.video:q} --out {output} 2> {log}"

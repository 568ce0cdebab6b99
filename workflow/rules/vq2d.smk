# Visual queries in 2D: annotations and videos → clips, detections, results/vq2d_peaks_{val,test}.json and results/vq2d_eval.json.
# No part of `rule all`: ask for these files, or for the target vq2d.


rule vq2d_demo:
    output:
        f"{VQ2D_DEMO}/{{annotated}}.json",
    log:
        "<work>/logs/vq2d/demo_{annotated}.log",
    benchmark:
        "<work>/benchmarks/vq2d/demo_{annotated}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.vq2d.demo"),
        split=lambda wildcards: wildcards.annotated.split("_")[1],
        options=section("vq2d/demo"),
        seed=config["seed"],
    shell:
        "python -m pipeline_lib.vq2d.demo --split {params.split} --options {params.options:q} --seed {params.seed}"
        " --out $(dirname {output}) 2> {log}"


rule vq2d_process:
    input:
        vq2d_annotations,
    output:
        "<work>/vq2d/{split}_annot.json.gz",
    log:
        "<work>/logs/vq2d/process_{split}.log",
    conda:
        "../../envs/data.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.vq2d.process"),
    shell:
        "python -m pipeline_lib.vq2d.process --annotations {input} --split {wildcards.split} --out {output} > {log} 2>&1"


rule vq2d_clips:
    input:
        vq2d_annotations,
    output:
        "<work>/vq2d/{split}/clips/ledger/{shard}.parquet",
    log:
        "<work>/logs/vq2d/clips_{split}_{shard}.log",
    benchmark:
        "<work>/benchmarks/vq2d/clips_{split}_{shard}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.vq2d.clips"),
        videos=literal(VQ2D["videos"] or f"{config['paths']['work']}/vq2d/demo/videos"),
        out=lambda wildcards, output: Path(output[0]).parents[1],
        options=section("vq2d/clips"),
        video=section("video"),
        shards=VQ2D["shards"],
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.vq2d.clips --annotations {input} --videos {params.videos:q} --out {params.out}"
        " --shard {wildcards.shard} --shards {params.shards} --options {params.options:q} --video {params.video:q}"
        " --max-failed-fraction {params.limit} 2> {log}"


rule vq2d_frames:
    input:
        "<work>/vq2d/{split}/clips/ledger/{shard}.parquet",
    output:
        "<work>/vq2d/{split}/frames/ledger/{shard}.parquet",
    log:
        "<work>/logs/vq2d/frames_{split}_{shard}.log",
    benchmark:
        "<work>/benchmarks/vq2d/frames_{split}_{shard}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.vq2d.frames"),
        clips=lambda wildcards, input: Path(input[0]).parents[1],
        out=lambda wildcards, output: Path(output[0]).parents[1],
        options=section("vq2d/images"),
        video=section("video"),
        shards=VQ2D["shards"],
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.vq2d.frames --clips {params.clips} --out {params.out} --shard {wildcards.shard}"
        " --shards {params.shards} --options {params.options:q} --video {params.video:q}"
        " --max-failed-fraction {params.limit} 2> {log}"


rule vq2d_detect:
    input:
        annotations="<work>/vq2d/{split}_annot.json.gz",
        clips="<work>/vq2d/{split}/clips/ledger/{shard}.parquet",
        weights=VQ2D["detection"]["checkpoint"] or "<work>/weights/objects.safetensors",
    output:
        "<work>/vq2d/{split}/detections.queries/{shard}.parquet",
    log:
        "<work>/logs/vq2d/detect_{split}_{shard}.log",
    benchmark:
        "<work>/benchmarks/vq2d/detect_{split}_{shard}.tsv"
    conda:
        "../../envs/vision.yaml"
    resources:
        gpu=config["features"]["gpus"],
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.vq2d.detect"),
        clips=lambda wildcards, input: Path(input.clips).parents[1],
        out=lambda wildcards, output: f"{Path(output[0]).parents[1]}/detections.json.gz",
        options=section("vq2d/detection"),
        objects=section("features/objects"),
        video=section("video"),
        device=config["features"]["device"],
        shards=VQ2D["shards"],
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.vq2d.detect --annotations {input.annotations} --clips {params.clips}"
        " --weights {input.weights:q} --out {params.out} --shard {wildcards.shard} --shards {params.shards}"
        " --options {params.options:q} --objects {params.objects:q} --video {params.video:q} --device {params.device}"
        " --max-failed-fraction {params.limit} 2> {log}"

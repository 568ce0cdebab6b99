# Frames and video files → object, S3D and other features per video, merged into one HDF5 file each.
from pipeline_lib.features.networks import NETWORKS

# Features of whole frames or clips, made from the videos themselves: name → seconds from one row to the next.
GLOBAL_FEATURES = {
    "s3d": config["features"]["s3d"]["stride"] / config["features"]["s3d"]["fps"],
    "resnet152": 1.0 / config["features"]["resnet152"]["fps"],
    "resnext101": config["features"]["resnext101"]["frames"] / config["features"]["resnext101"]["fps"],
    "clip": config["features"]["clip"]["every"],
}
STEP = {"objects": config["frames"]["every"], "clip_text": 0.0, **GLOBAL_FEATURES}

# The module of NETWORKS that builds each network.
ARCHITECTURE = {network: network for network in NETWORKS}
ARCHITECTURE["objects"] = {"vg_port": "objects"}.get(config["features"]["objects"]["network"], "objects_d2")


rule weights:
    input:
        lambda wildcards: if_path(config["weights"][wildcards.network]),
    output:
        weights="<work>/weights/{network}.safetensors",
        about="<work>/weights/{network}.json",
    log:
        "<work>/logs/weights/{network}.log",
    conda:
        "../../envs/vision.yaml"
    params:
        code=lambda wildcards: [
            fingerprint("pipeline_lib.features.weights"),
            fingerprint(NETWORKS[ARCHITECTURE[wildcards.network]]),
        ],
        architecture=lambda wildcards: ARCHITECTURE[wildcards.network],
        variant=lambda wildcards: (
            f"--variant {config['features']['clip']['model']}" if wildcards.network == "clip" else ""
        ),
        wanted=lambda wildcards: config["weights"][wildcards.network],
        seed=config["seed"],
    shell:
        "python -m pipeline_lib.features.weights --network {wildcards.network} --architecture {params.architecture}"
        " {params.variant} --weights {params.wanted:q} --seed {params.seed} --out {output.weights} 2> {log}"


rule objects:
    input:
        shard=shard_list,
        source="<work>/frames/{shard}.parquet" if config["frames"]["store"] else "<work>/videos/{shard}.parquet",
        clean="<work>/due_diligence/{shard}.parquet",
        weights="<work>/weights/objects.safetensors",
    output:
        "<work>/objects/{shard}.parquet",
    log:
        "<work>/logs/objects/{shard}.log",
    benchmark:
        "<work>/benchmarks/objects/{shard}.tsv"
    conda:
        "../../envs/vision.yaml"
    resources:
        gpu=config["features"]["gpus"],
    params:
        code=fingerprint("pipeline_lib.features.objects"),
        options=section("features/objects"),
        frames=section("frames"),
        video=section("video"),
        source="--frames" if config["frames"]["store"] else "--videos",
        device=config["features"]["device"],
        decoders=config["features"]["decoders"],
        ids=literal(config["source"]["id_pattern"]),
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.features.objects {input.shard} {params.source} {input.source} --due-diligence {input.clean}"
        " --weights {input.weights} --options {params.options:q} --frame-options {params.frames:q}"
        " --video {params.video:q} --device {params.device} --decoders {params.decoders} --id-pattern {params.ids:q}"
        " --max-failed-fraction {params.limit} --out {output} 2> {log}"


for network in GLOBAL_FEATURES:

    rule:
        name:
            network
        input:
            shard=shard_list,
            clean="<work>/due_diligence/{shard}.parquet",
            weights=f"<work>/weights/{network}.safetensors",
        output:
            f"<work>/{network}/{{shard}}.parquet",
        log:
            f"<work>/logs/{network}/{{shard}}.log",
        benchmark:
            f"<work>/benchmarks/{network}/{{shard}}.tsv"
        conda:
            "../../envs/vision.yaml"
        resources:
            gpu=config["features"]["gpus"],
        params:
            videos=VIDEOS,
            code=fingerprint(f"pipeline_lib.features.{network}"),
            module=f"pipeline_lib.features.{network}",
            options=section(f"features/{network}"),
            video=section("video"),
            device=config["features"]["device"],
            decoders=config["features"]["decoders"],
            ids=literal(config["source"]["id_pattern"]),
            limit=config["max_failed_fraction"],
        shell:
            "python -m {params.module} {input.shard} --videos {params.videos} --due-diligence {input.clean}"
            " --weights {input.weights} --options {params.options:q} --video {params.video:q} --device {params.device}"
            " --decoders {params.decoders} --id-pattern {params.ids:q} --max-failed-fraction {params.limit}"
            " --out {output} 2> {log}"


rule clip_text:
    input:
        shard=shard_list,
        captions="<work>/captions/{shard}.parquet",
        weights="<work>/weights/clip.safetensors",
    output:
        "<work>/clip_text/{shard}.parquet",
    log:
        "<work>/logs/clip_text/{shard}.log",
    benchmark:
        "<work>/benchmarks/clip_text/{shard}.tsv"
    conda:
        "../../envs/vision.yaml"
    resources:
        gpu=config["features"]["gpus"],
    params:
        code=fingerprint("pipeline_lib.features.clip_text"),
        options=section("features/clip"),
        device=config["features"]["device"],
        ids=literal(config["source"]["id_pattern"]),
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.features.clip_text {input.shard} --captions {input.captions} --weights {input.weights}"
        " --options {params.options:q} --device {params.device} --id-pattern {params.ids:q}"
        " --max-failed-fraction {params.limit} --out {output} 2> {log}"

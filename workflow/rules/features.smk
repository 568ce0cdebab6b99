# Frames and video files → object and S3D features per video, merged into one HDF5 file each.
from pipeline_lib.features.networks import NETWORKS

# Seconds from one row of a feature to the next.
STEP = {
    "objects": config["frames"]["every"],
    "s3d": config["features"]["s3d"]["stride"] / config["features"]["s3d"]["fps"],
}


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
        code=lambda wildcards: [fingerprint("pipeline_lib.features.weights"), fingerprint(NETWORKS[wildcards.network])],
        wanted=lambda wildcards: config["weights"][wildcards.network],
        seed=config["seed"],
    shell:
        "python -m pipeline_lib.features.weights --network {wildcards.network} --weights {params.wanted:q}"
        " --seed {params.seed} --out {output.weights} 2> {log}"


rule objects:
    input:
        shard=shard_list,
        frames="<work>/frames/{shard}.parquet",
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
        device=config["features"]["device"],
        ids=literal(config["source"]["id_pattern"]),
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.features.objects {input.shard} --frames {input.frames} --weights {input.weights}"
        " --options {params.options:q} --device {params.device} --id-pattern {params.ids:q}"
        " --max-failed-fraction {params.limit} --out {output} 2> {log}"


rule s3d:
    input:
        shard=shard_list,
        videos="<work>/videos/{shard}.parquet",
        clean="<work>/due_diligence/{shard}.parquet",
        weights="<work>/weights/s3d.safetensors",
    output:
        "<work>/s3d/{shard}.parquet",
    log:
        "<work>/logs/s3d/{shard}.log",
    benchmark:
        "<work>/benchmarks/s3d/{shard}.tsv"
    conda:
        "../../envs/vision.yaml"
    resources:
        gpu=config["features"]["gpus"],
    params:
        code=fingerprint("pipeline_lib.features.s3d"),
        options=section("features/s3d"),
        device=config["features"]["device"],
        ids=literal(config["source"]["id_pattern"]),
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.features.s3d {input.shard} --videos {input.videos} --due-diligence {input.clean}"
        " --weights {input.weights} --options {params.options:q} --device {params.device} --id-pattern {params.ids:q}"
        " --max-failed-fraction {params.limit} --out {output} 2> {log}"


rule hdf5:
    input:
        lambda wildcards: ledgers(wildcards.network),
    output:
        "<work>/{network}.hdf5",
    log:
        "<work>/logs/{network}_hdf5.log",
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.store.merge"),
        folder=f"{WORK}/{{network}}",
        step=lambda wildcards: STEP[wildcards.network],
        shards=config["shards"],
    shell:
        "python -m pipeline_lib.store.merge --ledgers {params.folder:q} --shards {params.shards} --step {params.step}"
        " --start 0 --out {output} 2> {log}"

# Video files → due diligence and stored frames.


rule due_diligence:
    input:
        shard=shard_list,
        videos="<work>/videos/{shard}.parquet",
    output:
        "<work>/due_diligence/{shard}.parquet",
    log:
        "<work>/logs/due_diligence/{shard}.log",
    benchmark:
        "<work>/benchmarks/due_diligence/{shard}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.clean.due_diligence"),
        options=section("due_diligence"),
        video=section("video"),
        ids=literal(config["source"]["id_pattern"]),
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.clean.due_diligence {input.shard} --videos {input.videos} --options {params.options:q}"
        " --video {params.video:q} --id-pattern {params.ids:q} --max-failed-fraction {params.limit} --out {output} 2> {log}"


rule frames:
    input:
        shard=shard_list,
        videos="<work>/videos/{shard}.parquet",
        clean="<work>/due_diligence/{shard}.parquet",
    output:
        "<work>/frames/{shard}.parquet",
    log:
        "<work>/logs/frames/{shard}.log",
    benchmark:
        "<work>/benchmarks/frames/{shard}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.video.frames"),
        options=section("frames"),
        video=section("video"),
        ids=literal(config["source"]["id_pattern"]),
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.video.frames {input.shard} --videos {input.videos} --due-diligence {input.clean}"
        " --options {params.options:q} --video {params.video:q} --id-pattern {params.ids:q}"
        " --max-failed-fraction {params.limit} --out {output} 2> {log}"

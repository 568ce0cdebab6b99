# Video files → due diligence, equal videos of all shards, and stored frames.


rule inspection:
    input:
        shard=shard_list,
        videos="<work>/videos/{shard}.parquet",
    output:
        "<work>/inspection/{shard}.parquet",
    log:
        "<work>/logs/inspection/{shard}.log",
    benchmark:
        "<work>/benchmarks/inspection/{shard}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.clean.inspection"),
        video=section("video"),
        ids=literal(config["source"]["id_pattern"]),
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.clean.inspection {input.shard} --videos {input.videos} --video {params.video:q}"
        " --id-pattern {params.ids:q} --max-failed-fraction {params.limit} --out {output} 2> {log}"


rule due_diligence:
    input:
        shard=shard_list,
        inspection="<work>/inspection/{shard}.parquet",
        articles="<work>/articles/{shard}.parquet",
        captions="<work>/captions/{shard}.parquet",
    output:
        ledger="<work>/due_diligence/{shard}.parquet",
        facts="<work>/due_diligence/facts/{shard}.parquet",
    log:
        "<work>/logs/due_diligence/{shard}.log",
    benchmark:
        "<work>/benchmarks/due_diligence/{shard}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        videos=VIDEOS,
        code=fingerprint("pipeline_lib.clean.due_diligence"),
        options=section("due_diligence"),
        ids=literal(config["source"]["id_pattern"]),
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.clean.due_diligence {input.shard} --videos {params.videos} --inspection {input.inspection}"
        " --articles {input.articles} --captions {input.captions} --options {params.options:q} --id-pattern {params.ids:q}"
        " --max-failed-fraction {params.limit} --out {output.ledger} 2> {log}"


rule duplicates:
    input:
        facts=lambda wildcards: ledgers("due_diligence/facts"),
        annotations="<work>/annotations.json",
    output:
        "<work>/duplicates.json",
    log:
        "<work>/logs/duplicates.log",
    benchmark:
        "<work>/benchmarks/duplicates.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.clean.duplicates"),
        folder=f"{WORK}/due_diligence",
        options=section("duplicates"),
        shards=config["shards"],
    shell:
        "python -m pipeline_lib.clean.duplicates {params.folder:q} --annotations {input.annotations}"
        " --shards {params.shards} --options {params.options:q} --out {output} 2> {log}"


rule frames:
    input:
        shard=shard_list,
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
        videos=VIDEOS,
        code=fingerprint("pipeline_lib.video.frames"),
        options=section("frames"),
        video=section("video"),
        ids=literal(config["source"]["id_pattern"]),
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.video.frames {input.shard} --videos {params.videos} --due-diligence {input.clean}"
        " --options {params.options:q} --video {params.video:q} --id-pattern {params.ids:q}"
        " --max-failed-fraction {params.limit} --out {output} 2> {log}"

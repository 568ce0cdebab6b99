# Queries → list of videos, shards, articles, captions, video files, and the three JSON files that merge them.

# A master file holds what these stages say of the videos that are ok in all of them; the last one leaves out duplicates.
MASTERS = {
    "vid2article": ["articles"],
    "vid2article_master_not_filtered": ["articles", "captions"],
    "vid2article_master_filtered": ["articles", "captions", "due_diligence"],
}
MASTER_BEFORE = dict(zip(list(MASTERS)[1:], MASTERS))  # in place of its stages' ledgers: 3 000 inputs less to plan


rule search:
    input:
        if_path(config["source"]["query_file"]),
    output:
        "<work>/vid_urls.json",
    log:
        "<work>/logs/search.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.collect.search"),
        options=section("source"),
        state=source_state(),
        seed=config["seed"],
    shell:
        "python -m pipeline_lib.collect.search --options {params.options:q} --seed {params.seed} --out {output} 2> {log}"


checkpoint split:
    input:
        "<work>/vid_urls.json",
    output:
        "<work>/shards.json",
    log:
        "<work>/logs/split.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.collect.split"),
        shards=config["shards"],
        lists=lists_are_there(),
    shell:
        "python -m pipeline_lib.collect.split {input} --shards {params.shards} --out {output} 2> {log}"


rule annotations:
    input:
        if_path(config["source"]["annotations"]),
    output:
        "<work>/annotations.json",
    log:
        "<work>/logs/annotations.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.collect.annotations"),
        options=section("source"),
        state=source_state(),
        seed=config["seed"],
    shell:
        "python -m pipeline_lib.collect.annotations --options {params.options:q} --seed {params.seed} --out {output} 2> {log}"


rule articles:
    input:
        shard_list,
    output:
        "<work>/articles/{shard}.parquet",
    log:
        "<work>/logs/articles/{shard}.log",
    benchmark:
        "<work>/benchmarks/articles/{shard}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.collect.articles"),
        options=fetch_options(),
        seed=config["seed"],
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.collect.articles {input} --options {params.options:q} --seed {params.seed}"
        " --max-failed-fraction {params.limit} --out {output} 2> {log}"


rule captions:
    input:
        shard_list,
    output:
        "<work>/captions/{shard}.parquet",
    log:
        "<work>/logs/captions/{shard}.log",
    benchmark:
        "<work>/benchmarks/captions/{shard}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.collect.captions"),
        options=fetch_options(),
        seed=config["seed"],
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.collect.captions {input} --options {params.options:q} --seed {params.seed}"
        " --max-failed-fraction {params.limit} --out {output} 2> {log}"


rule videos:
    input:
        shard_list,
    output:
        "<work>/videos/{shard}.parquet",
    log:
        "<work>/logs/videos/{shard}.log",
    benchmark:
        "<work>/benchmarks/videos/{shard}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.collect.videos"),
        options=fetch_options(),
        seed=config["seed"],
        limit=config["max_failed_fraction"],
    shell:
        "python -m pipeline_lib.collect.videos {input} --options {params.options:q} --seed {params.seed}"
        " --max-failed-fraction {params.limit} --out {output} 2> {log}"


rule master:
    input:
        before=lambda wildcards: expand("<work>/{name}.json", name=filter(None, [MASTER_BEFORE.get(wildcards.master)])),
        ledgers=lambda wildcards: ledgers(MASTERS[wildcards.master][-1]),
        duplicates=lambda wildcards: (f"{WORK}/duplicates.json" if "due_diligence" in MASTERS[wildcards.master] else []),
    output:
        "<work>/{master}.json",
    log:
        "<work>/logs/{master}.log",
    wildcard_constraints:
        master="|".join(MASTERS),
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.collect.master"),
        folders=lambda wildcards: [f"{WORK}/{stage}" for stage in MASTERS[wildcards.master]],
        duplicates=lambda wildcards, input: [f"--duplicates={input.duplicates}"] if input.duplicates else [],
        shards=config["shards"],
    shell:
        "python -m pipeline_lib.collect.master {params.folders:q} --shards {params.shards} {params.duplicates:q} --out {output} 2> {log}"

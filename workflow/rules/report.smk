# Ledgers and facts of everything collected → a page and its numbers.


rule dataset_report:
    input:
        ledgers=lambda wildcards: [path for stage in MASTERS["vid2article_master_filtered"] for path in ledgers(stage)],
        videos=lambda wildcards: ledgers("videos"),
        duplicates="<work>/duplicates.json",
    output:
        html=report(
            "<results>/dataset_report.html",
            caption="../report/dataset_report.rst",
            category="Dataset",
        ),
        json="<results>/dataset_report.json",
    log:
        "<work>/logs/dataset_report.log",
    benchmark:
        "<work>/benchmarks/dataset_report.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.report.dataset"),
        templates=templates("pipeline_lib.report"),
        work=lambda wildcards: WORK,
        shards=config["shards"],
        seed=config["seed"],
        config=literal(json.dumps({key: config[key] for key in ("source", "due_diligence", "duplicates", "video")})),
    shell:
        "python -m pipeline_lib.report.dataset {params.work:q} --shards {params.shards} --seed {params.seed}"
        " --config {params.config:q} --out {output.html} 2> {log}"

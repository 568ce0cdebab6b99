# Detections of visual queries → peaks, their measures and pictures.

# What the target vq2d in the Snakefile asks for; ledgers by name, so that lost ones are made again.
VQ2D_RESULTS = expand("<results>/vq2d_peaks_{split}.json", split=["val", "test"])
VQ2D_RESULTS += ["<results>/vq2d_eval.json"]
VQ2D_RESULTS += expand("<results>/vq2d/{split}", split=["val", "test"] if VQ2D["plots"] else [])
VQ2D_RESULTS += expand(
    "<work>/vq2d/{split}/{stage}/{shard}.parquet",
    split=["val", "test"],
    stage=["clips/ledger", "detections.queries"] + (["frames/ledger"] if VQ2D["frames"] else []),
    shard=VQ2D_SHARDS,
)


rule vq2d_detections:
    input:
        annotations="<work>/vq2d/{split}_annot.json.gz",
        ledgers=vq2d_ledgers("detections.queries"),
    output:
        "<work>/vq2d/{split}/detections.json.gz",
    log:
        "<work>/logs/vq2d/detections_{split}.log",
    conda:
        "../../envs/vision.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.vq2d.collect"),
    shell:
        "python -m pipeline_lib.vq2d.collect {input.ledgers} --annotations {input.annotations} --out {output} 2> {log}"


rule vq2d_peaks:
    input:
        annotations="<work>/vq2d/{split}_annot.json.gz",
        detections="<work>/vq2d/{split}/detections.json.gz",
        annotated=vq2d_annotations,
    output:
        "<results>/vq2d_peaks_{split}.json",
    log:
        "<work>/logs/vq2d/peaks_{split}.log",
    conda:
        "../../envs/vision.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.vq2d.peaks"),
        # The challenge's file lists annotations as theirs does; the other one, queries.
        order=lambda wildcards, input: input.annotated if wildcards.split == "test" else input.annotations,
        options=section("vq2d/peaks"),
    shell:
        "python -m pipeline_lib.vq2d.peaks --detections {input.detections} --annotations {params.order:q}"
        " --options {params.options:q} --out {output} 2> {log}"


rule vq2d_eval:
    input:
        annotations="<work>/vq2d/val_annot.json.gz",
        peaks="<results>/vq2d_peaks_val.json",
        weights=[] if VQ2D["detection"]["checkpoint"] else "<work>/weights/objects.json",
    output:
        report(
            "<results>/vq2d_eval.json",
            caption="../report/vq2d_eval.rst",
            category="Visual queries",
        ),
    log:
        "<work>/logs/vq2d/eval.log",
    conda:
        "../../envs/vision.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.vq2d.evaluate"),
        metrics="peaks" if VQ2D["peaks"]["mode"] == "all" else "both",
        weights=lambda wildcards, input: [f"--weights={path}" for path in [input.weights] if path],
    shell:
        "python -m pipeline_lib.vq2d.evaluate --predictions {input.peaks} --annotations {input.annotations}"
        " --metrics {params.metrics} {params.weights} --out {output} > {log} 2>&1"


rule vq2d_plots:
    input:
        detections="<work>/vq2d/{split}/detections.json.gz",
        clips=vq2d_ledgers("clips/ledger"),
    output:
        directory("<results>/vq2d/{split}"),
    log:
        "<work>/logs/vq2d/plots_{split}.log",
    conda:
        "../../envs/vision.yaml"
    params:
        code=lambda wildcards: fingerprint("pipeline_lib.vq2d.plots"),
        clips=lambda wildcards, input: Path(input.clips[0]).parents[1],
        limit=f"--limit {VQ2D['plots']}",
        options=section("vq2d/peaks"),
    shell:
        "python -m pipeline_lib.vq2d.plots --detections {input.detections} --clips {params.clips} {params.limit}"
        " --options {params.options:q} --out {output} 2> {log}"

# Features per video → one HDF5 file each, and objects.hdf5 → files that other people's code opens, asked for by name only.


rule hdf5:
    input:
        lambda wildcards: ledgers(wildcards.feature),
    output:
        "<work>/{feature}.hdf5",
    log:
        "<work>/logs/{feature}_hdf5.log",
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.store.merge"),
        folder=f"{WORK}/{{feature}}",
        step=lambda wildcards: STEP[wildcards.feature],
        shards=config["shards"],
    shell:
        "python -m pipeline_lib.store.merge --ledgers {params.folder:q} --shards {params.shards} --step {params.step}"
        " --start 0 --out {output} 2> {log}"


rule export_tsv:
    input:
        objects="<work>/objects.hdf5",
    output:
        tsv="<work>/export/objects.tsv",
        ids="<work>/export/image_ids.json",
    log:
        "<work>/logs/export_tsv.log",
    benchmark:
        "<work>/benchmarks/export_tsv.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.store.export_objects"),
    shell:
        "python -m pipeline_lib.store.export_objects {input.objects} --format tsv"
        " --integer-ids {output.ids} --out {output.tsv} 2> {log}"


rule export_npz:
    input:
        objects="<work>/objects.hdf5",
    output:
        npz=directory("<work>/export/objects_npz"),
    log:
        "<work>/logs/export_npz.log",
    benchmark:
        "<work>/benchmarks/export_npz.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.store.export_objects"),
    shell:
        "python -m pipeline_lib.store.export_objects {input.objects} --format npz" " --out {output.npz} 2> {log}"


rule export_milo:
    input:
        objects="<work>/objects.hdf5",
    output:
        json="<work>/export/videoID2obj.json",
        features=directory("<work>/export/objects_npy"),
        boxes=directory("<work>/export/boxes_npy"),
    log:
        "<work>/logs/export_milo.log",
    benchmark:
        "<work>/benchmarks/export_milo.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        code=fingerprint("pipeline_lib.store.export_objects"),
    shell:
        "python -m pipeline_lib.store.export_objects {input.objects} --format milo --np-save-dir {output.features}"
        " --bbox-save-dir {output.boxes} --out {output.json} 2> {log}"

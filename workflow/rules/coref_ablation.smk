# The inputs of coref_train → variants of it, a job each → results/coref_ablation.json; asked for by name only.


rule coref_variant:
    input:
        captions="<work>/vid2article_master_filtered.json",
        annotations="<work>/annotations.json",
        objects="<work>/objects.hdf5",
        features=COREF_FEATURES,
        words="<work>/words.safetensors",
        pretrained=if_path(config["coref"]["model"]["pretrained"]),
    output:
        "<work>/coref/ablation/{factor}/{value}.json",
    log:
        "<work>/logs/coref_ablation/{factor}/{value}.log",
    benchmark:
        "<work>/benchmarks/coref_ablation/{factor}/{value}.tsv"
    wildcard_constraints:
        factor="|".join((factors.BASE, *factors.FACTORS)),
        value=r"[\w.+-]+",
    conda:
        "../../envs/learning.yaml"
    threads: config["coref"]["training"]["threads"]
    resources:
        gpu=config["features"]["gpus"],
    params:
        code=fingerprint("pipeline_lib.coref.variant"),
        options=variant_options,
        device=config["features"]["device"],
        features=lambda wildcards, input: [f"--features={path}" for path in input.features],
    shell:
        "python -m pipeline_lib.coref.variant --captions {input.captions} --annotations {input.annotations}"
        " --objects {input.objects} {params.features:q} --words {input.words} --options {params.options:q}"
        " --factor {wildcards.factor} --value {wildcards.value} --device {params.device} --out {output} 2> {log}"


rule coref_ablation:
    input:
        runs=[f"<work>/coref/ablation/{factor}/{value}.json" for factor, value in factors.variants(COREF)],
        weights=expand("<work>/weights/{network}.json", network=["objects", *config["coref"]["features"]]),
    output:
        json="<results>/coref_ablation.json",
        table="<results>/coref_ablation.md",
        plot=report("<results>/coref_ablation.svg", caption="../report/coref_ablation.rst", category="Coreference"),
    log:
        "<work>/logs/coref_ablation.log",
    localrule: True
    conda:
        "../../envs/learning.yaml"
    params:
        code=fingerprint("pipeline_lib.coref.ablation"),
        config=section(""),
        weights=lambda wildcards, input: [f"--weights={path}" for path in input.weights],
    shell:
        "python -m pipeline_lib.coref.ablation {input.runs} {params.weights:q} --config {params.config:q}"
        " --out {output.json} 2> {log}"

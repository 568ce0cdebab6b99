# Captions and articles → token counts and word vectors.


rule token_counts:
    input:
        "<work>/vid2article_master_filtered.json",
    output:
        report(
            "<results>/{tokenizer}_tokenized_count.txt",
            caption="../report/token_counts.rst",
            category="Text",
            labels={"tokenizer": "{tokenizer}"},
        ),
    log:
        "<work>/logs/token_counts/{tokenizer}.log",
    conda:
        "../../envs/learning.yaml"
    params:
        code=fingerprint("pipeline_lib.text.token_counts"),
        tokenizer=lambda wildcards: wildcards.tokenizer.lower(),
        context=lambda wildcards: f"--context {config['text']['context']}" if wildcards.tokenizer == "CLIP" else "",
    shell:
        "python -m pipeline_lib.text.token_counts --captions {input} --tokenizer {params.tokenizer}"
        " {params.context} --out {output} 2> {log}"


rule word_vectors:
    input:
        master="<work>/vid2article_master_filtered.json",
        file=if_path(config["weights"]["words"]),
    output:
        "<work>/words.safetensors",
    log:
        "<work>/logs/word_vectors.log",
    conda:
        "../../envs/learning.yaml"
    params:
        code=fingerprint("pipeline_lib.text.vectors"),
        words=config["weights"]["words"],
        dimension=config["text"]["dimension"],
        seed=config["seed"],
    shell:
        "python -m pipeline_lib.text.vectors --captions {input.master} --dimension {params.dimension}"
        " --seed {params.seed} --words {params.words:q} --out {output} 2> {log}"

# Queries → evaluated models: see docs/ and `snakemake --configfile config/….yaml` for other runs than the bundled demo.
import gc
import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")
gc.disable()  # planning thousands of jobs makes many objects and little garbage: a fifth of the time; on again at the start

# Jobs use this package and this Python, also when no environment is activated; a conda environment's own comes before it.
sys.path.insert(0, workflow.basedir)
for name, first in (("PYTHONPATH", workflow.basedir), ("PATH", os.path.dirname(sys.executable))):
    os.environ[name] = os.pathsep.join([first, *filter(None, [os.environ.get(name)])])

from pipeline_lib import config as configuration
from pipeline_lib.core.errors import USER_ERROR, UserError, fail


configfile: os.path.join(workflow.basedir, "config.yaml")


try:
    config = configuration.as_dict(configuration.load(config, base=Path.cwd()))
except UserError as error:
    fail(f"error in the configuration: {error}", USER_ERROR)


report: "workflow/report/workflow.rst"


pathvars:
    work=config["paths"]["work"],
    results=config["paths"]["results"],


STAGES_AND_TASKS = "common collect video features store report text coref coref_ablation retrieval_inputs retrieval"
for name in f"{STAGES_AND_TASKS} moments_inputs moments vq2d_inputs vq2d vq2d_peaks".split():

    include: f"workflow/rules/{name}.smk"


rule all:
    default_target: True
    input:
        expand("<results>/coref_eval.{form}", form=["json", "md", "html"]),
        "<results>/coref_report.html",
        expand("<results>/dataset_report.{form}", form=["html", "json"]),
        expand("<results>/{tokenizer}_tokenized_count.txt", tokenizer=["GloVe", "CLIP"]),
        "<work>/coref/milo.safetensors",
        expand("<work>/{made}", made=["objects.hdf5", "s3d.hdf5", "words.safetensors", "annotations.json"]),
        expand("<work>/{master}.json", master=MASTERS),
        expand("<work>/{feature}.hdf5", feature=config["features"]["also"]),
        lost_ledgers,


rule vq2d:
    input:
        VQ2D_RESULTS,

# Queries → evaluated models: see docs/ and `snakemake --configfile config/….yaml` for other runs than the bundled demo.
import gc
import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")
gc.set_threshold(200_000)  # planning thousands of jobs makes many objects and little garbage; saves a fifth of the time

# Jobs and this file use the package that lies beside it, whatever the environment a job runs in.
sys.path.insert(0, workflow.basedir)
os.environ["PYTHONPATH"] = os.pathsep.join(
    [workflow.basedir, *filter(None, [os.environ.get("PYTHONPATH")])]
)

from pipeline_lib import config as configuration
from pipeline_lib.core.cli import USER_ERROR, fail
from pipeline_lib.core.errors import UserError


configfile: os.path.join(workflow.basedir, "config.yaml")


try:
    config = configuration.as_dict(configuration.load(config, base=Path.cwd()))
except UserError as error:
    fail(f"error in the configuration: {error}", USER_ERROR)


report: "workflow/report/workflow.rst"


pathvars:
    work=config["paths"]["work"],
    results=config["paths"]["results"],


include: "workflow/rules/common.smk"
include: "workflow/rules/collect.smk"
include: "workflow/rules/video.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/text.smk"
include: "workflow/rules/coref.smk"


rule all:
    default_target: True
    input:
        "<results>/coref_eval.json",
        "<results>/GloVe_tokenized_count.txt",
        "<results>/CLIP_tokenized_count.txt",

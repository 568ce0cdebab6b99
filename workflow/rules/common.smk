# Helpers of the other files here: shards, the checkpoint that fills them, options and code of a stage.
import functools
import json
import re

from pipeline_lib.core.files import sha256
from pipeline_lib.config.coref import Coref
from pipeline_lib.core.fingerprint import fingerprint, remember
from pipeline_lib.core.ids import shard_name
from pipeline_lib.coref import factors

remember(Path(".snakemake/fingerprints.json"))  # parsing every module takes a tenth of planning
WORK = config["paths"]["work"]
if config["source"]["youtube"]["cookies"]:  # no job, log or result shall name the file: jobs find it in the environment
    os.environ.update(YOUTUBE_COOKIES=os.path.abspath(config["source"]["youtube"]["cookies"]))
    config["source"]["youtube"]["cookies"] = None
COREF = Coref.model_validate(config["coref"])
ONLY_MEASURED = ("bootstrap", "baselines", "clip_temperature", "mil_nce_temperature", "mil_nce_dictionary")
FEATURES = dict.fromkeys(["s3d", *config["coref"]["features"], *config["features"]["also"]])
FEATURES |= {"clip": None} if "clip" in config["coref"]["evaluation"]["baselines"] else {}
STAGES = ("articles", "captions", "videos", "inspection", "due_diligence", "objects", *FEATURES)
STAGES += ("frames",) if config["frames"]["store"] else ()
# No input of what comes after inspections, which are one: 3 000 inputs less to plan.
VIDEOS = f"{WORK}/videos/{{shard}}.parquet"
SHARDS = [shard_name(index) for index in range(config["shards"])]


onstart:
    gc.enable()


wildcard_constraints:
    shard=r"\d\d\d\d+",
    network=r"objects|s3d|resnet152|resnext101|clip",
    feature=r"objects|s3d|resnet152|resnext101|clip|clip_text",
    tokenizer=r"GloVe|CLIP",


def literal(value):
    """A parameter whose braces are no wildcards; a plain string where it has none, which plans faster than a function."""
    return (lambda wildcards: value) if re.search(r"\{\w", value) else value


def section(path):
    """A section of the configuration ("features/s3d"; "" is all of it) as JSON text, for a module's --options."""
    return literal(json.dumps(functools.reduce(lambda part, key: part[key], filter(None, path.split("/")), config)))


def fetch_options():
    """The source's section without what only decides which videos are listed: one video more re-runs one shard."""
    listing = ("queries", "query_file", "limit", "annotations")
    kept = {key: value for key, value in config["source"].items() if key not in listing}
    if config["source"]["kind"] != "youtube":
        kept = {**kept, "youtube": {}}
    kept["demo"] = {key: value for key, value in kept["demo"].items() if key not in ("train", "val", "test")}
    return literal(json.dumps(kept))


@functools.cache
def split_is_done():
    """Raise until the shards' lists are written; afterwards True without asking Snakemake once per job."""
    return bool(checkpoints.split.get())


def lists_are_there():
    """Whether no list is missing that a finished split wrote; undeclared, unchanged ones stay untouched, and plans are fast."""
    done = Path(WORK, "shards.json").exists()
    return not done or all(Path(WORK, "shards", f"{shard}.json").exists() for shard in SHARDS)


def list_after_split(wildcards):
    """The list of videos of a shard, once the split is done."""
    split_is_done()
    return f"{WORK}/shards/{wildcards.shard}.json"


# An input of every per-shard rule: a changed list re-runs its shard alone. Plain paths plan faster (docs/decisions.md).
shard_list = "<work>/shards/{shard}.json" if Path(WORK, "shards.json").exists() else list_after_split


def ledgers(stage):
    """The ledgers of all shards of a stage, for a merge's input function."""
    split_is_done()
    return [f"{WORK}/{stage}/{shard}.parquet" for shard in SHARDS]


def lost_ledgers(wildcards):
    """Ledgers that are gone although others of their shard, or a result, were made from them; asked for, they are made again."""
    if not Path(WORK, "shards.json").exists():
        return []
    done = Path(config["paths"]["results"], "coref_eval.json").exists()
    lost = []
    for shard in SHARDS:
        paths = [f"{WORK}/{stage}/{shard}.parquet" for stage in STAGES]
        missing = [path for path in paths if not Path(path).exists()]
        lost += missing if done or len(missing) < len(paths) else []
    return lost if not lost or split_is_done() else []


def source_state():
    """What makes a search worth repeating: for videos on disk their folder or list; nothing for other sources."""
    if config["source"]["kind"] != "local":
        return ""
    from pipeline_lib.collect.sources.local import state

    return state(Path(config["source"]["local"]["csv"] or config["source"]["local"]["folder"]))


def if_path(value):
    """The value as an input file when it is the path of one."""
    return value if value and Path(value).is_file() else []


def named(**files):
    """Files as command-line options, those left out that aren't there."""
    lists = {key: [value] if isinstance(value, str) else value for key, value in files.items() if value}
    return [f"--{key.replace('_', '-')}={path}" for key, paths in lists.items() for path in paths]


def launch(section):
    """What runs a training module: Python, or torchrun where the section asks for several processes."""
    count = config[section]["training"]["processes"]
    return f"torchrun --standalone --nproc-per-node {count}" if count > 1 else "python"


def templates(*packages):
    """Hashes of the page templates of packages; they are no modules, so `fingerprint` doesn't see them."""
    folders = [Path(workflow.basedir, *package.split("."), "templates") for package in packages]
    return [sha256(path) for folder in folders for path in sorted(folder.glob("*.*"))]


def training_options(coref):
    """The coref section without what training doesn't use, so that other values there don't train again."""
    kept = {key: value for key, value in coref["evaluation"].items() if key not in ONLY_MEASURED}
    return {key: value for key, value in coref.items() if key != "ablation"} | {"evaluation": kept}


def variant_options(wildcards):
    """The coref section of a variant; of the ablation's own keys only the seeds."""
    options = factors.options_of(COREF, wildcards.factor, wildcards.value).model_dump(mode="json")
    return json.dumps(training_options(options) | {"ablation": {"seeds": COREF.ablation.seeds}})

# Helpers of the rules of visual queries.

VQ2D = config["vq2d"]
VQ2D_SHARDS = [shard_name(index) for index in range(VQ2D["shards"])]
VQ2D_DEMO = "<work>/vq2d/demo"
ANNOTATED = {"val": "vq_val", "test": "vq_test_unannotated"}  # names of Ego4D's files


wildcard_constraints:
    split=r"val|test",
    annotated=r"vq_val|vq_test_unannotated",


def vq2d_annotations(wildcards):
    """The annotation file of a split."""
    if VQ2D["source"] == "demo":
        return f"{config['paths']['work']}/vq2d/demo/{ANNOTATED[wildcards.split]}.json"
    key = f"annotations_{wildcards.split}"
    return VQ2D[key] or f"(no file: set vq2d.{key} in the configuration)"


def vq2d_ledgers(stage):
    """The ledgers of all shards of a stage of a split."""
    return expand("<work>/vq2d/{{split}}/{stage}/{shard}.parquet", stage=stage, shard=VQ2D_SHARDS)

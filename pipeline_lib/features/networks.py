"""Name of a network → the module that builds it: `build()` without weights, `untrained(seed)` with seeded ones.

Modules are named, not imported, so that one network's code is no part of another's fingerprint.
"""

NETWORKS = {
    "objects": "pipeline_lib.features.nets.untrained_faster_rcnn",
    "s3d": "pipeline_lib.features.nets.untrained_s3d",
}

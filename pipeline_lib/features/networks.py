"""Name of a network → the module that builds it: `build()` without weights, `untrained(seed)` with seeded ones.

Modules are named, not imported, so that one network's code is no part of another's fingerprint.
"""

NETWORKS = {
    "clip": "pipeline_lib.features.nets.untrained_clip",
    "objects": "pipeline_lib.features.nets.untrained_faster_rcnn",
    "resnet152": "pipeline_lib.features.nets.untrained_resnet152",
    "resnext101": "pipeline_lib.features.nets.untrained_resnext101",
    "objects_d2": "pipeline_lib.features.nets.untrained_faster_rcnn_d2",
    "s3d": "pipeline_lib.features.nets.untrained_s3d",
}

"""Images (BGR, 0 … 255) → proposals, class scores and 2048-d region features, computed by detectron2 itself.

The same interface as faster_rcnn_d2.FasterRCNNC4, for who wants detectron2's own operators. It is no dependency of this
project: it has to be compiled for the torch that is installed.
"""

import importlib
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline_lib.core.errors import UserError
from pipeline_lib.features.nets.faster_rcnn_d2 import CELL_ANCHORS, CLASSIFIER, N_CLASSES
from pipeline_lib.features.nets.regions import Proposals

CONFIG = "COCO-Detection/faster_rcnn_R_101_C4_3x.yaml"


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"detectron2 can't be imported ({error}); install it with "
            "`pip install --no-build-isolation git+https://github.com/facebookresearch/detectron2`, or choose the network "
            "detectron2_c4, which gives the same numbers without it"
        ) from None


class Detectron2(nn.Module):
    """detectron2's model for inference; `load_state_dict` takes the checkpoints that FasterRCNNC4 takes.

    Args:
        n_classes: with the background.
        post_nms: proposals kept after suppression.

    Raises:
        UserError: detectron2 is not installed.
    """

    def __init__(self, n_classes: int = N_CLASSES, post_nms: int = 1000) -> None:
        super().__init__()
        self.post_nms = post_nms
        self.model = self._build(n_classes)

    def _build(self, n_classes: int) -> Any:
        config = _module("detectron2.model_zoo").get_config(CONFIG)
        config.MODEL.DEVICE = "cpu"  # moved later, as any module
        config.MODEL.ROI_HEADS.NUM_CLASSES = n_classes - 1
        config.MODEL.RPN.POST_NMS_TOPK_TEST = self.post_nms
        return _module("detectron2.modeling").build_model(config).eval()

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """Load a checkpoint, with as many classes as it has."""
        state = {key: value for key, value in state_dict.items() if key != CELL_ANCHORS}
        if CLASSIFIER in state and len(state[CLASSIFIER]) != self.model.roi_heads.num_classes + 1:
            self.model = self._build(len(state[CLASSIFIER])).to(self.model.device)
        for name in ("pixel_mean", "pixel_std"):  # not in the state of current versions, but in files
            if name in state:
                getattr(self.model, name).copy_(state.pop(name).reshape(3, 1, 1))
        return self.model.load_state_dict(state, strict=strict, assign=assign)

    def forward(self, images: Tensor, im_info: Tensor) -> list[Proposals]:
        """As FasterRCNNC4.forward."""
        model = self.model
        cut = [image[:, : int(h), : int(w)] for image, (h, w, *_) in zip(images, im_info.tolist(), strict=True)]
        batch = model.preprocess_image([{"image": image} for image in cut])
        maps = model.backbone(batch.tensor)
        proposals, _ = model.proposal_generator(batch, maps)
        rois = [one.proposal_boxes for one in proposals]
        heads = model.roi_heads
        features = heads._shared_roi_transform([maps[name] for name in heads.in_features], rois).mean(dim=[2, 3])
        logits, deltas = heads.box_predictor(features)
        counts = [len(one) for one in rois]
        parts = (logits.softmax(dim=1).roll(1, dims=1), F.pad(deltas, (4, 0)), features)
        split = (part.split(counts) for part in parts)
        return [Proposals(*parts) for parts in zip([one.tensor for one in rois], *split, strict=True)]

    @torch.inference_mode()
    def detections(self, image: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """detectron2's own result for one image (3, h, w) of a frame of (width, height) `size`.

        Returns:
            boxes (N, 4) in pixels of the frame, scores (N,), labels (N,) in 0 …, best score first.
        """
        found = self.model([{"image": image, "height": size[1], "width": size[0]}])[0]["instances"]
        return found.pred_boxes.tensor, found.scores, found.pred_classes

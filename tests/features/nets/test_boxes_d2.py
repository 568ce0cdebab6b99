"""detectron2's box arithmetic, worked out by hand."""

import math

import torch

from pipeline_lib.features.nets import boxes_d2
from pipeline_lib.features.nets.detections_d2 import detections
from pipeline_lib.features.nets.regions import Proposals, select


def test_anchors_surround_the_corner_unrounded() -> None:
    anchors = boxes_d2.anchors((32, 64), (0.5, 1, 2))
    wide = 32 * math.sqrt(2) / 2
    assert anchors.shape == (6, 4)
    torch.testing.assert_close(anchors[0], torch.tensor([-wide, -wide / 2, wide, wide / 2]))
    assert anchors[1].tolist() == [-16, -16, 16, 16] and anchors[4].tolist() == [-32, -32, 32, 32]
    torch.testing.assert_close(anchors[2], torch.tensor([-wide / 2, -wide, wide / 2, wide]))


def test_decoding_has_no_last_pixel() -> None:
    box = torch.tensor([[10.0, 20, 30, 60]])
    assert boxes_d2.decode(box, torch.zeros(1, 4)).tolist() == box.tolist()
    moved = boxes_d2.decode(box, torch.tensor([[0.5, -0.25, math.log(2), 0]]))
    torch.testing.assert_close(moved, torch.tensor([[10.0, 10, 50, 50]]))  # centre 30, 30; 40 × 40
    grown = boxes_d2.decode(box, torch.tensor([[0.0, 0, 99, 99]]))
    torch.testing.assert_close(grown[0, 2] - grown[0, 0], torch.tensor(20 * 62.5))  # 1000 / 16 at most


def test_clipping_reaches_the_full_size_and_suppression_counts_areas_without_it() -> None:
    assert boxes_d2.clip(torch.tensor([[-5.0, -5, 99, 99]]), 40, 50).tolist() == [[0, 0, 50, 40]]
    pair = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])  # overlap of exactly one half
    scores = torch.tensor([0.9, 0.8])
    assert boxes_d2.suppress(pair, scores, 0.5).tolist() == [0, 1]
    assert boxes_d2.suppress(pair, scores, 0.49).tolist() == [0]
    assert boxes_d2.suppress(pair, scores, 0.49, torch.tensor([1, 2])).tolist() == [0, 1]


PROPOSALS = Proposals(
    torch.tensor([[0.0, 0, 20, 20], [1, 0, 21, 20], [50, 10, 90, 70]]),
    torch.tensor([[0.3, 0.6, 0.1], [0.22, 0.7, 0.08], [0.5, 0.04, 0.46]]),  # background, class 1, class 2
    torch.zeros(3, 12).index_fill_(1, torch.tensor([8]), 5.0),  # class 2: half a width to the right, after the weights
    torch.arange(3.0)[:, None].expand(3, 2048),
)


def test_detections_keep_pairs_and_return_to_the_frame() -> None:
    found = detections(PROPOSALS, (2.0, 1.0), (40, 80), score_thresh=0.05, nms_thresh=0.5)
    assert found.proposals.tolist() == [1, 2, 0]  # 0 yields to 1 in class 1, and 1 to 0 in class 2
    assert found.labels.tolist() == [0, 1, 1]
    torch.testing.assert_close(found.boxes[0], torch.tensor([0.5, 0, 10.5, 20]))  # half the width of the input
    torch.testing.assert_close(found.boxes[1], torch.tensor([35.0, 10, 40, 70]))  # moved by 20, cut at 80, halved
    assert len(detections(PROPOSALS, (2.0, 1.0), (40, 80), max_boxes=1).boxes) == 1


def test_the_regions_to_keep_take_the_same_arithmetic() -> None:
    kept = select(*PROPOSALS, (2.0, 1.0), (40, 80), min_boxes=2, max_boxes=2, arithmetic=boxes_d2.ARITHMETIC)
    assert kept["features"][:, 0].tolist() == [1, 2] and kept["labels"].tolist() == [1, 2]
    torch.testing.assert_close(kept["boxes"], torch.tensor([[0.5, 0, 10.5, 20], [35.0, 10, 40, 70]]))

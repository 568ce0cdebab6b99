"""Crops, search windows and scales, worked out by hand."""

import numpy as np
import pytest

from pipeline_lib.core.errors import ItemError, Reason
from pipeline_lib.vq2d import crop
from pipeline_lib.vq2d.annotations import Box


def box(x, y, width, height, size=(100, 80)):
    return Box(frame_number=0, x=x, y=y, width=width, height=height, original_width=size[0], original_height=size[1])


def test_a_crop_has_context_and_lies_in_the_middle_of_a_square():
    frame = np.full((80, 100, 3), 10, np.uint8)
    frame[30:40, 20:60] = 200
    found = crop.visual_crop(frame, box(20.9, 30.2, 40, 10), pad=4, size=48)  # corners 20, 30, 60, 40 → 48 × 18
    assert found.shape == (48, 48, 3)
    assert (found[:15] == crop.PAD_VALUE).all() and (
        found[33:] == crop.PAD_VALUE
    ).all()  # (48 - 18) / 2 above, the rest below
    assert (found[19:29, 4:44] == 200).all() and (found[15:19] == 10).all() and (found[15:33, :4] == 10).all()


def test_context_ends_at_the_edge_of_the_frame():
    frame = np.arange(100, dtype=np.uint8)[None, :, None].repeat(80, 0).repeat(3, 2)
    found = crop.visual_crop(frame, box(-10, 0, 40, 46), pad=16, size=62)  # columns 0 … 45, rows 0 … 61
    left = (62 - 46) // 2
    assert (found[:, :left] == crop.PAD_VALUE).all() and (found[:, left + 46 :] == crop.PAD_VALUE).all()
    assert (found[5, left : left + 46, 0] == np.arange(46)).all()


def test_fractions_of_grey_are_dropped():
    frame = np.zeros((4, 4, 3), np.uint8)
    frame[:, 2:] = 255
    found = crop.visual_crop(frame, box(0, 0, 4, 4, (4, 4)), pad=0, size=2)
    assert found[0, :, 0].tolist() == [0, 255]
    assert crop.visual_crop(frame, box(0, 0, 4, 4, (4, 4)), pad=0, size=3)[0, 1, 0] == 127  # 127.5


@pytest.mark.parametrize("corner", [(100, 0), (0, 80), (-50, 0), (500, 500)])
def test_a_crop_outside_the_frame_is_a_reason(corner):
    with pytest.raises(ItemError, match="outside the 100×80 frame") as error:
        crop.visual_crop(np.zeros((80, 100, 3), np.uint8), box(*corner, 50, 50))
    assert error.value.reason == Reason.BAD_ANNOTATION


def test_search_windows():
    assert crop.search_window(5) == [0, 1, 2, 3, 4]
    assert crop.search_window(10, recency_factor=0.3) == [7, 8, 9]
    assert crop.search_window(5, recency_factor=0.35) == [3, 4]  # 1.75 frames
    assert crop.search_window(10, subsampling_factor=0.3) == [0, 4, 9]
    assert crop.search_window(10, 0.5, 0.4) == [5, 9]
    assert crop.search_window(3, recency_factor=0.1) == [0, 1, 2]  # round(0.3) frames would be none
    assert crop.search_window(3, subsampling_factor=0.1) == [0, 1, 2]
    assert crop.search_window(0) == []


def test_frames_go_to_their_original_size_then_to_one_height():
    frame = np.zeros((40, 50, 3), np.uint8)
    picture, scale = crop.scaled(frame, (100, 80), 20)
    assert picture.shape == (20, 25, 3) and scale == 0.25
    same, scale = crop.scaled(frame, (50, 40), 40)
    assert same is frame and scale == 1.0
    up, scale = crop.scaled(frame, (50, 40), 70)
    assert up.shape == (70, 88, 3) and scale == 1.75  # 87.5 to the even number, as cv2


def test_resizing_is_bilinear_without_smoothing():
    frame = np.array([0, 100], np.uint8).reshape(1, 2, 1).repeat(3, 2)
    assert crop.resized(frame, (4, 1))[0, :, 0].tolist() == [0, 25, 75, 100]


def test_boxes_lose_their_fractions_towards_zero():
    boxes = np.array([[1.9, -0.9, 10.0, 7.99]], np.float32)
    assert crop.to_original(boxes, 0.5).tolist() == [[3, -1, 20, 15]]


def test_a_reference_has_its_box_in_the_scaled_frame():
    found = crop.reference(np.zeros((80, 100, 3), np.uint8), box(10, 20, 30, 40), 40)
    assert found.picture.shape == (40, 50, 3) and found.box.tolist() == [5, 10, 20, 30]
    assert found.crop.shape == (256, 256, 3)

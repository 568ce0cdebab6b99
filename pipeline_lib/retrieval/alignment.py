"""Similarity and relevance whose rows and columns are called by name → the same rows and columns in both."""

import numpy as np

from pipeline_lib.core.errors import UserError, one_line
from pipeline_lib.retrieval.matrices import Matrix


def align(similarity: Matrix, relevance: Matrix, name: str = "relevance", to: str = "similarity") -> Matrix:
    """The relevance, or another matrix called `name`, in the order of the similarity, or of what `to` calls it.

    Rows are matched by name where both sides have names, otherwise by place; so are columns.

    Raises:
        UserError: ids stand on one side only, or the shapes differ.
    """
    order = []
    for what, wanted, found in (
        ("video", similarity.video_ids, relevance.video_ids),
        ("caption", similarity.caption_ids, relevance.caption_ids),
    ):
        order.append(
            None if wanted is None or found is None or wanted == found else _places(what, wanted, found, name, to)
        )
    rows, columns = order
    values, pairs = relevance.values, relevance.pairs
    if rows is not None:
        values = values[rows]
    if columns is not None:
        values = values[:, columns]
    if values.shape != similarity.values.shape:
        raise UserError(_shapes(similarity.values.shape, values.shape, name))
    if pairs is not None:
        pairs = pairs.copy()
        for axis, places in enumerate(order):
            if places is not None:
                inverse = np.empty(len(places), np.int64)
                inverse[places] = np.arange(len(places))
                pairs[:, axis] = inverse[pairs[:, axis]]
    return Matrix(
        values, similarity.video_ids or relevance.video_ids, similarity.caption_ids or relevance.caption_ids, pairs
    )


def _places(what: str, wanted: list[str], found: list[str], name: str, to: str) -> np.ndarray:
    """Where each wanted id stands among those found; both must be the same ids."""
    place = {one: i for i, one in enumerate(found)}
    if len(place) != len(found):
        raise UserError(f"the {name} calls several {what}s by one name; make it again with unique ids")
    missing = [one for one in wanted if one not in place]
    extra = sorted(set(found) - set(wanted))
    if missing or extra:
        sides = [
            f"{len(ids)} {what} ids are only in the {side}: {', '.join(ids[:3])}{', …' if len(ids) > 3 else ''}"
            for ids, side in ((missing, to), (extra, name))
            if ids
        ]
        raise UserError(one_line("; ".join(sides) + "; give both of the same split", 600))
    return np.array([place[one] for one in wanted], np.int64)


def _shapes(similarity: tuple[int, ...], other: tuple[int, ...], name: str) -> str:
    said = f"the similarity is {similarity[0]} × {similarity[1]}, the {name} {other[0]} × {other[1]}"
    if similarity == other[::-1]:
        return f"{said}: --rows says what the rows of the similarity are, videos or captions; give the other"
    return f"{said}; both must be videos × captions of the same split"

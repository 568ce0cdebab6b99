"""The metrics of moment retrieval as their definitions read, window by window: what the fast ones must equal."""

from collections.abc import Sequence


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    inner = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    union = (one[1] - one[0]) + (other[1] - other[0]) - inner
    return inner / union if union > 0 else 0.0


def best_overlap(windows: Sequence, gold: Sequence) -> float:
    """Of the first window with the gold window that it overlaps most."""
    return max(iou(windows[0], one) for one in gold) if len(windows) else 0.0


def average_precision(windows: Sequence, gold: Sequence, threshold: float, top: int) -> float:
    """Mean over gold windows of the best precision at which a list of the best windows has found so many."""
    ranked = sorted(windows[:top], key=lambda window: -window[2])
    taken: set[int] = set()
    precisions, found = [], []
    for rank, window in enumerate(ranked, 1):
        best = None
        for place, one in enumerate(gold):
            fits = place not in taken and iou(window, one) >= threshold
            if fits and (best is None or iou(window, one) >= iou(window, gold[best])):
                best = place
        if best is not None:
            taken.add(best)
        precisions.append(len(taken) / rank)
        found.append(len(taken))
    total = 0.0
    for wanted in range(1, len(gold) + 1):
        reaching = [precision for precision, count in zip(precisions, found, strict=True) if count >= wanted]
        total += max(reaching, default=0.0)
    return total / len(gold)


def highlight_average_precision(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Mean over distinct recalls of the best precision at that recall or a higher one; thresholds are the scores."""
    points = []
    for threshold in sorted(set(scores), reverse=True):
        claimed = [is_one for score, is_one in zip(scores, positive, strict=True) if score >= threshold]
        points.append((sum(claimed), sum(claimed) / len(claimed)))
    recalls = sorted({count for count, _ in points if count})
    best = [max(precision for count, precision in points if count >= recall) for recall in recalls]
    return sum(best) / len(best) if best else 0.0


def highlight(
    saliency: Sequence[float], clips: int, rated: Sequence[int], ratings: Sequence[Sequence[int]], least: int
) -> tuple[float, float]:
    """Average precision, the mean over people, and whether the highest clip is a highlight to anybody."""
    people = len(ratings[0])
    positive = [[False] * clips for _ in range(people)]
    for clip, row in zip(rated, ratings, strict=True):
        for person, rating in enumerate(row):
            positive[person][clip] = rating >= least
    scores = [saliency[clip] if clip < len(saliency) else 0.0 for clip in range(clips)]
    mean = sum(highlight_average_precision(scores, own) for own in positive) / people
    best = list(saliency).index(max(saliency))
    return mean, float(best < clips and any(own[best] for own in positive))

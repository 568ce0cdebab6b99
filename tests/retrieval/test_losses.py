import pytest
import torch

from pipeline_lib.config.retrieval import RetrievalTraining
from pipeline_lib.retrieval import losses
from pipeline_lib.retrieval.scores import Scores

# Rows are videos, columns captions.
S = torch.tensor([[0.9, 0.8, 0.5], [0.3, 0.6, 0.7], [0.4, 0.1, 0.5]])
# Caption 1 is relevant to video 0, and video 1 to caption 0; nothing else to video 2 and caption 2.
R = torch.tensor([[1.0, 0.5, 0.0], [0.4, 1.0, 0.1], [0.0, 0.0, 1.0]])


def loss(scores=S, relevance=R, **options):
    found = losses.level(scores, relevance, RetrievalTraining(**{"threshold": 0.4, **options}))
    return {name: float(value) for name, value in found.items()}


def test_contrastive_takes_the_hardest_of_each_row_and_column():
    # rows, 0.2 + s_ij - s_ii: 0.1, 0.3, 0.1; columns: max(-.3, -.3) → 0, max(.4, -.3), max(.2, .4)
    expected = (0.1 + 0.3 + 0.1) / 3 + (0 + 0.4 + 0.4) / 3
    assert loss(loss="contrastive") == pytest.approx({"loss": expected})
    assert loss(loss="contrastive", relevance=None) == pytest.approx({"loss": expected})
    assert loss(loss="contrastive", direction="video_to_text") == pytest.approx({"loss": 0.5 / 3})
    assert loss(loss="contrastive", direction="text_to_video") == pytest.approx({"loss": 0.8 / 3})


def test_contrastive_mean_over_all_negatives():
    # rows: 0.1 + 0, 0 + 0.3, 0.1 + 0; columns: 0, 0.4 (row 0), 0.2 + 0.4
    expected = (0.1 + 0.3 + 0.1) / 6 + (0.4 + 0.2 + 0.4) / 6
    assert loss(loss="contrastive", max_violation=False) == pytest.approx({"loss": expected})


def test_ran_leaves_relevant_ones_out():
    # without (0, 1) and (1, 0), rows: 0 (0.2 + 0.5 - 0.9 < 0), 0.3, 0.1; columns: 0, 0, 0.4
    assert loss(loss="ran") == pytest.approx({"loss": 0.4 / 3 + 0.4 / 3})
    assert loss(loss="ran", threshold=0.45)["loss"] == pytest.approx(0.4 / 3 + 0.4 / 3)  # (1, 0) had no cost anyway
    assert loss(loss="ran", threshold=1.0) == pytest.approx(loss(loss="contrastive"))


def test_ranp_adds_the_hardest_positive():
    # rows: p₀ = 0.8, against 0.5 → 0; p₁ = 0.3, against 0.7 → 0.6; row 2 has no positive
    # columns: p₀ = 0.3 (video 1), against video 2's 0.4 → 0.3; p₁ = 0.8, against video 2's 0.1 → 0; column 2 has none
    found = loss(loss="ranp")
    assert found["loss_pairs"] == pytest.approx(loss(loss="ran")["loss"])
    assert found["loss_positives"] == pytest.approx(0.6 / 3 + 0.3 / 3)
    assert found["loss"] == pytest.approx(found["loss_pairs"] + found["loss_positives"])
    assert loss(loss="hard_positives") == pytest.approx({"loss": found["loss_positives"]})


def test_a_query_without_positive_adds_nothing_unless_as_published():
    high = torch.tensor([[0.9, 0.9], [0.9, 0.9]])
    none = torch.eye(2)
    assert loss(high, none, loss="hard_positives")["loss"] == 0
    # p = 1: relu(0.2 + 0.9 - 1) = 0.1 in every row and column
    found = loss(high, none, loss="hard_positives", without_positive="published")
    assert found["loss"] == pytest.approx(0.2)


def test_several_hardest():
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.1], [0, 0.9, 0, 0], [0, 0, 0.9, 0], [0, 0, 0, 0.9]])
    relevance = torch.eye(4)
    relevance[0, 1] = relevance[0, 2] = 1.0
    options = {"direction": "video_to_text", "hard_topk": 2, "margin_positive": 0.7}
    # row 0: positives 0.7 and 0.8 meet the one negative 0.1 → 0.1 and 0, and a negative that isn't there → 0
    expected = ((0.1 + 0) / 2 + (0 + 0) / 2) / 2 / 4
    assert loss(scores, relevance, loss="hard_positives", **options)["loss"] == pytest.approx(expected)
    # contrastive: the two hardest of rows, m = 0.2: row 0 has 0.1 and 0
    assert loss(scores, relevance, loss="contrastive", **options)["loss"] == pytest.approx(0.1 / 2 / 4)


def test_semi_hard_leaves_out_what_scores_above_the_pair():
    # rows: 0.1, 0 (0.7 > 0.6; 0.2 + 0.3 - 0.6 < 0), 0.1; columns: 0, 0 (0.8 > 0.6), 0.2 (0.5 = 0.5; 0.7 is above)
    assert loss(loss="contrastive", semi_hard=True)["loss"] == pytest.approx((0.1 + 0 + 0.1) / 3 + 0.2 / 3)


def test_norm_softmax_by_hand():
    scores = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    assert loss(scores, None, loss="norm_softmax")["loss"] == pytest.approx(2 * torch.log(torch.tensor(2.0)).item())
    # no positives: the same; every pair a positive: four targets, each of probability 1/2
    for relevance in (torch.eye(2), torch.ones(2, 2)):
        found = loss(scores, relevance, loss="norm_softmax_ranp")
        assert found["loss"] == pytest.approx(2 * torch.log(torch.tensor(2.0)).item())


def test_norm_softmax_ranp_targets():
    temperature, scores = 1.0, torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 2.0]])
    relevance = torch.eye(3)
    relevance[0, 1] = relevance[1, 0] = 1.0
    log_rows = scores.log_softmax(1)
    pairs, mined = log_rows.diagonal().sum(), log_rows[0, 1] + log_rows[1, 0]  # row and column 2 have no positive
    found = loss(scores, relevance, loss="norm_softmax_ranp", temperature=temperature)
    assert found["loss"] == pytest.approx(float(-2 * (pairs + mined) / 5))


def test_norm_softmax_ranp_has_no_irrelevant_targets():
    """Video 0 is relevant to caption 1, but caption 0 not to video 1: its hardest video (2) is no target of video 0."""
    scores, relevance = torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.0, 2.0]]), torch.eye(3)
    relevance[0, 1] = relevance[2, 0] = 1.0
    rows, columns = scores.log_softmax(1), scores.T.log_softmax(1)
    # the hardest videos of captions 0 and 1 are 2 and 0: (0, 2) and (1, 0) as pairs of video and caption, both irrelevant
    first = rows.diagonal().sum() / 3
    # the hardest captions of videos 0 and 2 are 1 and 0
    second = (columns.diagonal().sum() + columns[1, 0] + columns[0, 2]) / 5
    found = loss(scores, relevance, loss="norm_softmax_ranp", temperature=1.0)
    assert found["loss"] == pytest.approx(float(-first - second))


def test_gradients_flow_through_the_hardest_positive():
    scores = S.clone().requires_grad_()
    losses.level(scores, R, RetrievalTraining(loss="hard_positives", threshold=0.4))["loss"].backward()
    assert scores.grad[1, 0] < 0 < scores.grad[1, 2]  # the positive is pulled up, its hardest negative pushed down


def test_levels_are_weighted_and_have_relevance_of_their_own():
    scores = Scores(S, S.T.contiguous(), S.flip(0))
    relevance = {"both": R, "verbs": torch.eye(3), "nouns": torch.ones(3, 3)}
    found = losses.terms(scores, relevance, RetrievalTraining(loss="ran", threshold=0.4, level_weights=(1, 0.5, 2, 3)))
    assert float(found["loss_nouns"]) == 0  # nothing is irrelevant
    assert float(found["loss_verbs"]) == pytest.approx(loss(S.T, loss="contrastive")["loss"])
    parts = [float(found[f"loss_{name}"]) for name in ("fused", "sentence", "verbs", "nouns")]
    assert float(found["loss"]) == pytest.approx(parts[0] + 0.5 * parts[1] + 2 * parts[2] + 3 * parts[3])


def test_mining_without_relevance_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="ranp needs the relevance"):
        loss(relevance=None, loss="ranp")

"""What chapter 04 takes for right, and the names of its faults."""

import torch
from torch.nn import functional as F

from dmlbook import chapters
from dmlbook.chapters.ch04 import center_faults, circle_faults, exercises, loss_faults
from tests.chapters.ch04.answers import ANSWERS, DIAGONAL


def test_a_length_whose_slope_at_zero_is_zero_is_as_right_as_the_root_with_epsilon():
    def softtriple(centers, images, labels, scale, gamma, tau):
        w = F.normalize(centers, dim=-1)
        s = torch.einsum("bd,ckd->bck", images, w)
        value = F.cross_entropy(scale * ((s / gamma).softmax(-1) * s).sum(-1), labels)
        return value + tau * torch.stack([torch.pdist(of_class).mean() for of_class in w]).mean() / 2

    def price(weight, tau):
        w = F.normalize(weight, dim=-1).transpose(0, 1)
        return tau * torch.stack([torch.pdist(of_class).mean() for of_class in w]).mean() / 2

    assert chapters.judge("4.1", softtriple).state == "right"
    assert chapters.judge("4.2", price).state == "right"


def test_a_square_cut_off_below_is_as_right_and_so_is_the_smallest_epsilon_where_nothing_is_rounded():
    def priced(root):
        def answer(weight, tau):
            w = F.normalize(weight, dim=-1)
            j, k = torch.triu_indices(len(w), len(w), 1)
            K, C, _ = w.shape
            return tau * root((w[j] - w[k]).square().sum(-1)).sum() / (C * K * (K - 1))

        return answer

    assert chapters.judge("4.2", priced(lambda square: square.clamp(min=1e-5).sqrt())).state == "right"
    assert chapters.judge("4.2", priced(lambda square: (square + 1e-8).sqrt())).state == "right"


def test_centers_that_meet_do_so_exactly_and_their_cosine_is_rounded_beyond_one():
    cases = exercises.EXERCISES[0].cases()
    centers = F.normalize(cases[-1].arguments[0], dim=-1)
    assert centers.dtype == torch.float32
    torch.testing.assert_close(centers[:, 1:3], centers[:, 3:], rtol=0, atol=0)
    assert (centers[:, 1:3].double().square().sum(-1) > 1 + 1e-7).all()


def test_pairs_on_the_sphere_take_turns_as_rows_and_along_the_first_axis():
    centers, threshold = exercises.EXERCISES[2].cases()[-1].arguments
    near = (torch.cdist(centers, centers) < threshold).nonzero().tolist()
    assert [pair for pair in near if pair[0] < pair[1]] == [[0, 2], [1, 3]]
    order = centers[:, 0].argsort(descending=True).tolist()
    assert order == [0, 1, 2, 3]  # so no two of a pair are neighbors along it


def test_centers_that_are_equal_have_a_product_above_one_in_single_precision_however_it_is_summed():
    centers, threshold = exercises.EXERCISES[2].cases()[-2].arguments
    assert torch.equal(centers[0], centers[2])
    assert centers.dtype == torch.float32
    assert centers[0].double().square().sum() > 1 + 3e-7
    assert (centers.norm(dim=1) - 1).abs().max() < 1e-6
    assert center_faults.distinct(centers, threshold) == 2


def test_no_wrong_axis_of_the_planted_bug_is_too_short_to_be_indexed():
    for case in exercises.EXERCISES[1].cases():
        per_class, classes, size = case.arguments[0].shape
        assert per_class <= min(classes, size)


def test_faults_have_the_names_of_the_answers_and_the_root_is_spoken_of_last():
    assert set(center_faults.COUNT_FAULTS) == set(ANSWERS["4.3"]) - {"solution"}
    assert set(loss_faults.DIAGONAL) == set(DIAGONAL)
    assert set(circle_faults.CIRCLE_FAULTS) == set(ANSWERS["4.4"]) - {"solution"}
    ring = torch.tensor([[1.0, 0.0], [0.999, 0.0447], [-1.0, 0.0]])  # two are 0.045 apart
    assert [center_faults.distinct(ring, t) for t in (0.02, 0.1)] == [3, 2]
    both = ANSWERS["4.1"]["every pair twice, and no epsilon"]
    assert chapters.judge("4.1", both).message.endswith(loss_faults.NO_EPSILON)

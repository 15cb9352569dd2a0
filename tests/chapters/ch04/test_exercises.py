"""What chapter 04 takes for right, and the names of its faults."""

import torch
from torch.nn import functional as F

from dmlbook import chapters
from dmlbook.chapters.ch04 import center_faults, loss_faults
from tests.chapters.ch04.answers import ANSWERS


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


def test_faults_have_the_names_of_the_answers_and_the_root_is_spoken_of_last():
    assert set(center_faults.COUNT_FAULTS) == set(ANSWERS["4.3"]) - {"solution"}
    assert set(center_faults.CIRCLE_FAULTS) == set(ANSWERS["4.4"]) - {"solution"}
    ring = torch.tensor([[1.0, 0.0], [0.999, 0.0447], [-1.0, 0.0]])  # two are 0.045 apart
    assert [center_faults.distinct(ring, t) for t in (0.02, 0.1)] == [3, 2]
    both = ANSWERS["4.1"]["every pair twice, and no epsilon"]
    assert chapters.judge("4.1", both).message.endswith(loss_faults.NO_EPSILON)

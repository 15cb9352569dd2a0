"""The checks of chapter 03 against answers written after them, as students write."""

import pytest
import torch

from dmlbook import chapters, losses
from dmlbook.chapters.ch03 import loss_faults, theory


def half_cut_off(embeddings, centers, *rest):
    """Right in its value and in the embeddings' slopes, and half of it in the centers'."""
    return theory.softtriple_batch_loss(embeddings, (centers + centers.detach()) / 2, *rest)


def test_a_loss_that_is_wrong_in_the_slopes_of_the_centers_alone_is_not_right():
    assert chapters.judge("3.1", half_cut_off).state == "wrong"
    assert chapters.judge("3.2", lambda x, w, y, margin: half_cut_off(x, w, y, 20.0, 0.1, margin)).state == "wrong"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x, w, y, *_: x.sum().item(), "return a tensor that holds one number"),
        (lambda x, w, y, *_: x @ w[0].T, "return a tensor that holds one number"),
        (lambda x, w, y, *_: (x @ x.T).mean(), "no gradient reaches them"),
        (lambda x, w, y, *_: w.sum(), "a loss that depends on the embeddings"),
    ],
)
def test_what_has_no_gradient_is_explained(answer, said):
    verdict = chapters.judge("3.1", answer)
    assert verdict.state == "error"
    assert said in verdict.message


def test_the_batch_loss_is_the_packages_whatever_the_lengths_of_its_vectors():
    loss = losses.SoftTriple(num_classes=3, embedding_size=4, centers_per_class=2, tau=0.0, gamma=0.3, margin=0.2)
    draw = torch.Generator().manual_seed(1)
    x, lengths = torch.randn(6, 4, generator=draw), 0.5 + torch.rand(3, 2, 1, generator=draw)
    y = torch.arange(6) % 3
    found = theory.softtriple_batch_loss(x, lengths * loss.centers, y, 20.0, 0.3, 0.2)
    torch.testing.assert_close(found, loss(x, y))
    with pytest.raises(ValueError, match=r"softtriple_batch_loss: labels must lie in 0\.\.2; got 0\.\.3"):
        theory.softtriple_batch_loss(x, loss.centers, torch.arange(6) % 4)
    with pytest.raises(ValueError, match="centers must have the embeddings' precision; got torch.float64 for torch"):
        theory.softtriple_batch_loss(x, loss.centers.double(), y)


def test_a_margin_at_the_wrong_place_is_taken_off_there():
    similar, labels = torch.zeros(2, 3), torch.tensor([2, 1])
    for fault, expected in {
        "": [[0, 0, -1], [0, -1, 0]],
        "the margin in every labeled column": [[0, -1, -1], [0, -1, -1]],
        "the margin counts twice": [[1, 1, -1], [1, -1, 1]],
        "the margin for class 0": [[-1, 0, 0], [-1, 0, 0]],
    }.items():
        assert loss_faults.lowered(similar, labels, 1.0, fault).tolist() == expected
    assert similar.eq(0).all()

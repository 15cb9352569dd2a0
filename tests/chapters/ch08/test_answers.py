"""Answers to the exercises of chapter 08 that a check could take for what they are not."""

import pytest
import torch

from dmlbook import chapters, retrieval
from dmlbook.chapters.ch08.in_parts import IN_PARTS
from tests.chapters.ch08 import answers


@pytest.mark.parametrize(
    "answer", [answers.joined, answers.outputs_kept, answers.first_pass_with_graph, answers.past_the_hooks]
)
def test_an_answer_that_keeps_the_graphs_of_all_images_is_wrong(answer):
    verdict = chapters.judge("8.3", answer)
    assert verdict.state == "wrong"
    assert "expected {'images at once': 4" in verdict.message
    assert "got {'images at once': 8" in verdict.message


def detached_parts(net, loss, images, labels, size):
    points = torch.cat([net(part).detach().clone() for part in images.split(size)]).requires_grad_()
    value = loss(points, labels)
    value.backward()
    for part, slope in zip(images.split(size), points.grad.split(size), strict=True):
        net(part).backward(slope)
    return value


@pytest.mark.parametrize("answer", [answers.checkpointed, answers.live_part, detached_parts])
def test_every_answer_that_keeps_the_graph_of_one_part_at_most_is_right(answer):
    assert chapters.judge("8.3", answer).state == "right"


def test_weights_that_are_changed_are_seen():
    verdict = chapters.judge("8.3", answers.stepped)
    assert verdict.state == "wrong"
    assert "got {'weights': 'changed'" in verdict.message


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, y: retrieval.recall_at_k(x, y, ks=(1,))[1],
        lambda x, y: (y[(x @ x.T - 3 * torch.eye(len(x))).topk(1).indices[:, 0]] == y).double().mean(),
        lambda x, y: (y[(x @ x.T).fill_diagonal_(-2).argsort(1)[:, -1]] == y).float().mean(),
        lambda x, y: (y[torch.cdist(x, x).fill_diagonal_(9).argmin(1)] == y).float().mean(),
    ],
)
def test_every_way_to_leave_the_query_out_is_right(answer):
    assert chapters.judge("8.2", answer).state == "right"


def test_a_gallery_cut_to_the_classes_that_are_asked_for_is_another_one():
    def cut(queries, query_labels, gallery, gallery_labels, k):
        there = torch.isin(gallery_labels, query_labels)
        return answers.gallery_recall(queries, query_labels, gallery[there], gallery_labels[there], k)

    assert chapters.judge("8.1", cut).state == "wrong"


def test_a_class_that_the_gallery_lacks_need_not_be_the_last():
    def by_number(queries, query_labels, gallery, gallery_labels, k):
        there = query_labels <= gallery_labels.max()
        hits = gallery_labels[(queries @ gallery.T).topk(k).indices] == query_labels[:, None]
        return hits.any(1)[there].double().mean()

    assert chapters.judge("8.1", by_number).state == "wrong"


def test_the_exercise_on_parts_asks_for_parts_smaller_than_the_batch():
    assert chapters.exercises()["8.3"] is IN_PARTS
    for case in IN_PARTS.cases():
        _, _, images, labels, size = case.arguments
        assert size < len(images) == len(labels)
        assert case.expected["images at once"] == size

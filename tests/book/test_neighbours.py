"""Widgets: every state of every control is drawn, and what is drawn agrees with what is said."""

import io
import itertools
import re
import time

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image

from dmlbook import book
from dmlbook.book.neighbours import NeighbourExplorer
from dmlbook.datasets import ImageSet
from dmlbook.seeding import generator
from tests import reference

NUMBERS = generator(3, "widget")
IMAGES = torch.randint(256, (12, 3, 16, 16), generator=NUMBERS, dtype=torch.uint8)
LABELS = torch.arange(12) % 3
EMBEDDINGS = {
    "good": torch.eye(3)[LABELS] + 0.1 * torch.rand(12, 3, generator=NUMBERS),
    "random": torch.randn(12, 3, generator=NUMBERS),
}


@pytest.fixture
def explorer():
    images = ImageSet(IMAGES, LABELS, ("gull", "tern", "skua"))
    return NeighbourExplorer(images, EMBEDDINGS, shown=3, queries=6)  # so that places and images have other numbers


def test_every_position_of_every_control_is_drawn_and_said_truly(explorer):
    labels = explorer.image_set.labels
    for method, place in itertools.product(explorer.found, range(len(explorer.queries))):
        explorer.method.value, explorer.query.value = method, place
        query = explorer.queries[place]
        found = explorer.found[method][query]
        said = explorer.text.value
        assert query not in found
        assert int(re.search(r"(\d) of 3 retrieved", said)[1]) == int((labels[found] == labels[query]).sum())
        assert said.startswith(f"{method}: for a {explorer.image_set.class_names[labels[query]]}")
        assert said.endswith(f"the first is a {explorer.image_set.class_names[labels[found[0]]]}.")
        assert explorer.picture.alt == said
        assert Image.open(io.BytesIO(explorer.picture.value)).size == (800, 320)
        assert (explorer.picture.width, explorer.picture.height) == (400, 160)
    assert "3 of 3" in explorer.state("good", 0)


def test_the_picture_shows_the_query_and_what_was_found_for_it(explorer, monkeypatch):
    figures = []
    monkeypatch.setattr(book, "png", lambda figure, **_: figures.append(figure) or b"")
    labels, images = explorer.image_set.labels.tolist(), explorer.image_set.images
    for method, place in itertools.product(explorer.found, (0, 3, 5)):
        explorer.draw(method, place)
        figure = figures.pop()
        assert explorer.state(method, place).startswith(f"{figure.get_suptitle()}; the first is")
        query = explorer.queries[place]
        expected = [query, *explorer.found[method][query].tolist()]
        for ax, index in zip(figure.axes, expected, strict=True):
            assert (ax.images[0].get_array() == images[index].permute(1, 2, 0).numpy()).all()
        marks = ["✓" if labels[index] == labels[query] else "✗" for index in expected[1:]]
        assert [ax.get_title() for ax in figure.axes] == ["query", *(f"{n + 1} {mark}" for n, mark in enumerate(marks))]
        plt.close(figure)


def test_each_method_shows_its_own_neighbours_nearest_first(explorer):
    for method, embeddings in EMBEDDINGS.items():
        units = [reference.unit(row) for row in reference.rows(embeddings)]
        for query in range(12):
            others = sorted(set(range(12)) - {query}, key=lambda j, q=query, u=units: -reference.dot(u[q], u[j]))
            assert explorer.found[method][query].tolist() == others[:3]


def test_moving_the_slider_changes_the_picture(explorer):
    before = explorer.picture.value
    explorer.query.value = 5
    assert explorer.picture.value != before
    changed = explorer.picture.value
    explorer.method.value = "random"
    assert explorer.picture.value != changed


def test_few_queries_are_spread_over_all_images(explorer):
    few = NeighbourExplorer(explorer.image_set, {"good": torch.eye(12)}, shown=2, queries=4)
    assert few.queries == [0, 4, 7, 11]
    assert few.query.max == 3


def test_controls_are_labelled_and_in_the_widget(explorer):
    panel = explorer.widget()
    assert panel is explorer.picture
    controls = panel.widget().data["controls"].values()
    assert [control["label"] for control in controls] == ["embedding", "query"]
    assert [control["buttons"] for control in controls] == [True, False]


def test_an_update_is_quick_enough_to_drag(explorer):
    times = []
    for place in range(6):
        start = time.process_time()
        explorer.draw("good", place)
        times.append(time.process_time() - start)
    assert min(times) < 1.0  # 0.1 s on a quiet core; the bound only catches a widget that redraws everything


@pytest.mark.bad_input
def test_bad_input_is_named(explorer):
    with pytest.raises(ValueError, match="embeddings must name at least one method; got none"):
        NeighbourExplorer(explorer.image_set, {})
    with pytest.raises(
        ValueError, match="embeddings must have one row an image; got 5 rows under 'short' for 12 images"
    ):
        NeighbourExplorer(explorer.image_set, {"short": torch.ones(5, 2)})


def test_it_opens_at_the_query_that_was_asked_for():
    images = ImageSet(IMAGES, LABELS, ("gull", "tern", "skua"))
    opened = NeighbourExplorer(images, EMBEDDINGS, shown=3, queries=6, start=4)
    assert opened.query.value == 4
    assert opened.picture.alt == opened.state("good", 4)
    with pytest.raises(ValueError, match="start"):
        NeighbourExplorer(images, EMBEDDINGS, shown=3, queries=6, start=6)

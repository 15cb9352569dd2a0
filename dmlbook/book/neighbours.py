"""The explorer of neighbours: ``state`` says in words what ``draw`` shows."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets
import matplotlib.pyplot as plt
import torch

from dmlbook import book
from dmlbook._checks import at_least, bad_input, check_below, check_choice, checked
from dmlbook._types import Tensor
from dmlbook.book.explorer import Words
from dmlbook.book.panel import Panel, choose
from dmlbook.datasets.image_set import ImageSet

WIDTH, HEIGHT = 100, 1.6
"""CSS pixels of an image with its margins, and the row's height as a multiple of them."""


class NeighbourExplorer:
    """Choose a query with a slider and an embedding by its name, and see what is retrieved.

    Args:
        image_set: N images.
        embeddings: For each method its embeddings (N, D).
        shown: How many neighbours to show.
        queries: How many of the images can be queries, spread over all of them.
        start: Which of these queries it opens at.

    Raises:
        ValueError: No embedding is given, or one has not one row an image; or there is no such query.
    """

    @checked(shown=at_least(1), queries=at_least(1), start=at_least(0))
    def __init__(
        self,
        image_set: ImageSet,
        embeddings: Mapping[str, Tensor],
        *,
        shown: int = 8,
        queries: int = 60,
        start: int = 0,
    ) -> None:
        if not embeddings:
            raise bad_input("embeddings", "name at least one method", "none", "Pass a dictionary.")
        for method, vectors in embeddings.items():
            if len(vectors) != len(image_set):
                got = f"{len(vectors)} rows under {method!r} for {len(image_set)} images"
                raise bad_input("embeddings", "have one row an image", got, "Embed that set.")
        check_below(len(image_set), "images, itself left out", shown=shown)
        self.image_set = image_set
        self.found = {method: book.nearest(vectors, shown) for method, vectors in embeddings.items()}
        spread = torch.linspace(0, len(image_set) - 1, min(queries, len(image_set)))
        self.queries = spread.round().long().tolist()
        check_below(len(self.queries), "queries", start=start)
        self.method = choose(list(embeddings), next(iter(embeddings)), "embedding")
        self.query = ipywidgets.IntSlider(start, 0, len(self.queries) - 1, description="query")
        controls = {"method": self.method, "query": self.query}
        size = (WIDTH * (shown + 1), round(HEIGHT * WIDTH))
        self.picture = Panel(controls, {}, size=size, sharp=lambda: self.picture.value)
        self.text = Words()
        for control in (self.method, self.query):
            control.observe(self._update, "value")
        self._update()

    @checked(place=at_least(0))
    def state(self, method: str, place: int) -> str:
        """What the picture shows, in words."""
        first = self.image_set.labels[self.found[method][self._query(method, place)][0]]
        return f"{self._headline(method, place)}; the first is a {self.image_set.class_names[int(first)]}."

    @checked(place=at_least(0))
    def draw(self, method: str, place: int) -> bytes:
        """The query and its neighbours as PNG bytes."""
        query = self._query(method, place)
        found = self.found[method][query]
        figure, axes = plt.subplots(1, len(found) + 1, figsize=(len(found) + 1, HEIGHT), layout="none")
        figure.subplots_adjust(0.01, 0.02, 0.99, 0.72, wspace=0.06)
        figure.suptitle(self._headline(method, place), x=0.01, y=0.99, ha="left", va="top", fontsize=11)
        book.query_row(axes, self.image_set, query, found)
        return book.png(figure, dpi=2 * WIDTH)

    def _headline(self, method: str, place: int) -> str:
        query, labels = self._query(method, place), self.image_set.labels
        found = self.found[method][query]
        right = int((labels[found] == labels[query]).sum())
        name = self.image_set.class_names[int(labels[query])]
        return f"{method}: for a {name}, {right} of {len(found)} retrieved images are of its class"

    def _query(self, method: str, place: int) -> int:
        check_choice(choices=tuple(self.found), method=method)
        check_below(len(self.queries), "queries", place=place)
        return self.queries[place]

    def _update(self, change: object = None) -> None:
        self.text.value = self.state(self.method.value, self.query.value)
        self.picture.show(self.draw(self.method.value, self.query.value), self.text.value)

    def widget(self) -> Panel:
        """To be the last expression of a cell."""
        return self.picture

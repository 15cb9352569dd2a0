"""What the map's page is fed, unpacked again, and the page as a file."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from dmlbook import maps
from dmlbook.book import class_colors
from dmlbook.datasets.image_set import ImageSet
from dmlbook.maps import Map, Shown
from dmlbook.seeding import SEED, generator


def unpacked(text, kind):
    return np.frombuffer(base64.b64decode(text), dtype=np.dtype(kind).newbyteorder("<"))


@pytest.fixture
def seven():
    """Seven images of two classes, each of one gray, with kinds; embeddings and two centers a class in the plane."""
    grays = torch.arange(7, dtype=torch.uint8)[:, None, None, None] * 30
    images = grays.expand(7, 3, 20, 20).contiguous()
    labels, kinds = torch.tensor([0, 0, 0, 1, 1, 1, 1]), torch.tensor([0, 1, 0, 1, 1, 0, 0])
    image_set = ImageSet(images, labels, ("wren", "owl"), kinds=kinds, kind_names=("perched", "flying"))
    draw = generator(SEED, "seven")
    embeddings, centers = torch.randn(7, 4, generator=draw), torch.randn(2, 2, 4, generator=draw)
    places = Map(torch.randn(7, 2, generator=draw), torch.randn(2, 2, 2, generator=draw))
    return image_set, Shown("SoftTriple", places, embeddings, centers, epoch=3)


def test_places_labels_kinds_and_names_are_what_was_given(seven):
    image_set, shown = seven
    data = maps.view_data(image_set, [shown], about="Birds.", n_neighbors=3)
    data = json.loads(json.dumps(data))  # plain values
    view = data["views"][0]
    assert (data["classes"], data["kinds"], data["about"]) == (["wren", "owl"], ["perched", "flying"], "Birds.")
    assert (view["method"], view["epoch"], view["k"]) == ("SoftTriple", 3, 3)
    np.testing.assert_array_equal(unpacked(data["labels"], np.uint16), image_set.labels)
    np.testing.assert_array_equal(unpacked(data["kind"], np.uint16), image_set.kinds)
    assert unpacked(data["mark"], np.uint8).tolist() == [0, 1, 0, 1, 1, 0, 0]
    np.testing.assert_array_equal(unpacked(view["points"], np.float32).reshape(7, 2), shown.map.points)
    np.testing.assert_array_equal(unpacked(view["centers"]["points"], np.float32).reshape(2, 2, 2), shown.map.centers)
    assert unpacked(view["centers"]["labels"], np.uint16).tolist() == [0, 0, 1, 1]


def test_neighbors_are_the_nearest_by_cosine_of_the_embedding_and_not_of_the_map(seven):
    image_set, shown = seven
    view = maps.view_data(image_set, [shown], n_neighbors=3)["views"][0]
    rows = [vector / vector.norm() for vector in shown.embeddings]
    for n, row in enumerate(rows):
        order = sorted((m for m in range(7) if m != n), key=lambda m: -float(row @ rows[m]))
        assert unpacked(view["neighbors"], np.uint32).reshape(7, 3)[n].tolist() == order[:3]


def similarities(shown):
    """Cosine of every image with every center, (N, C * K)."""
    images, centers = (torch.nn.functional.normalize(v, dim=-1) for v in (shown.embeddings, shown.centers))
    return (images @ centers.flatten(0, 1).T).tolist()


@pytest.mark.parametrize("foreign", [False, True])
def test_images_belong_to_the_nearest_center_of_their_class_and_of_all_where_that_has_none(seven, foreign):
    image_set, shown = seven
    names = ["crow", "gull"] if foreign else None
    view = maps.view_data(image_set, [shown], center_classes=names, n_neighbors=3)["views"][0]
    for n, similar in enumerate(similarities(shown)):
        label = int(image_set.labels[n])
        open_to = range(4) if foreign else range(2 * label, 2 * label + 2)
        best = max(open_to, key=lambda m: similar[m])
        assert unpacked(view["assigned"], np.int32)[n] == best
        assert unpacked(view["similarity"], np.float32)[n] == pytest.approx(similar[best], abs=1e-6)
    counts = np.bincount(unpacked(view["assigned"], np.int32), minlength=4)
    assert unpacked(view["centers"]["counts"], np.uint32).tolist() == counts.tolist()


def test_centers_that_the_map_left_out_are_not_shown_and_keep_their_numbers(seven):
    image_set, shown = seven
    places = shown.map.centers.clone()
    places[0, 0] = torch.nan
    view = maps.view_data(
        image_set, [Shown("SoftTriple", Map(shown.map.points, places), shown.embeddings, shown.centers)], n_neighbors=2
    )["views"][0]
    assert unpacked(view["centers"]["labels"], np.uint16).tolist() == [0, 1, 1]
    assert unpacked(view["centers"]["numbers"], np.uint16).tolist() == [2, 1, 2]
    assert np.isfinite(unpacked(view["centers"]["points"], np.float32)).all()
    assert set(unpacked(view["assigned"], np.int32)[:3]) == {0}  # the first class has one center left


def test_a_method_without_centers_and_images_without_kinds_have_none(seven):
    image_set, shown = seven
    bare = ImageSet(image_set.images, image_set.labels, image_set.class_names)
    data = maps.view_data(bare, [Shown("bound", Map(shown.map.points), shown.embeddings)], n_neighbors=2)
    assert (
        data["kinds"]
        is data["kind"]
        is data["mark"]
        is data["views"][0]["centers"]
        is data["views"][0]["assigned"]
        is None
    )


def test_every_picture_stands_at_its_place_on_its_sheet():
    count = 24 * 24 + 3  # three of them on a second sheet
    images = (torch.arange(count) % 8 * 30).byte()[:, None, None, None].expand(count, 3, 16, 16).contiguous()
    found = maps.view.sheets(images, side=8)
    assert len(found) == 2
    for n in (0, 1, 25, 24 * 24 - 1, 24 * 24, count - 1):
        address = found[n // 24**2]
        assert address.startswith("data:image/jpeg;base64,")
        sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))
        row, column = divmod(n % 24**2, 24)
        tile = sheet[8 * row + 2 : 8 * row + 6, 8 * column + 2 : 8 * column + 6]
        assert abs(float(tile.mean()) - n % 8 * 30) < 6
    second = Image.open(io.BytesIO(base64.b64decode(found[1].partition(",")[2])))
    assert second.size == (24 * 8, 8)


def test_hues_are_those_of_the_books_figures():
    assert list(maps.view.COLORS) == class_colors(10)


def test_what_does_not_fit_is_refused(seven):
    image_set, shown = seven
    with pytest.raises(ValueError, match="view_data: shown must hold at least one map"):
        maps.view_data(image_set, [])
    with pytest.raises(ValueError, match="n_neighbors must be below the number of images; got 7"):
        maps.view_data(image_set, [shown], n_neighbors=7)
    short = Shown("short", Map(shown.map.points[:6]), shown.embeddings)
    with pytest.raises(ValueError, match="have a place and an embedding for each of 7 images; got 6 places"):
        maps.view_data(image_set, [short], n_neighbors=2)
    lost = Shown("lost", Map(shown.map.points), shown.embeddings, shown.centers)
    with pytest.raises(ValueError, match="have a place for each center; got none"):
        maps.view_data(image_set, [lost], n_neighbors=2)
    with pytest.raises(
        ValueError, match=r"center_classes must name each class .* got 2 under 'SoftTriple', and 3 names"
    ):
        maps.view_data(image_set, [shown], center_classes=["a", "b", "c"], n_neighbors=2)


def test_a_page_is_whole_and_nothing_in_it_comes_from_elsewhere(tmp_path, seven):
    image_set, shown = seven
    data = maps.view_data(image_set, [shown], about="</script><!-- a trap", n_neighbors=3)
    path = maps.write_page(tmp_path / "map.html", maps.MODULE, data, title="Wrens <& owls>", text="What to see.")
    page = path.read_text(encoding="utf-8")
    assert page.count("<script>") == page.count("</script>") == 2
    assert "<!--" not in page
    assert "<title>Wrens &lt;&amp; owls&gt;</title>" in page
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    values = json.loads(script.partition(" = ")[2].rstrip(";"))
    assert values["data"] == data
    assert values["source"] == maps.MODULE.read_text(encoding="utf-8")


def test_the_host_holds_nothing_that_would_end_its_script():
    host = maps.page.HOST.read_text(encoding="utf-8")
    assert "</" not in host
    assert "<!--" not in host


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": {"a": object()}}, "data must hold what JSON can; got Object of type object"),
        ({"path": "."}, "path must name a file that can be written; got"),
        ({"module": "missing.js"}, "module must be a file that exists; got 'missing.js'"),
    ],
)
def test_a_page_that_cannot_be_written_is_refused(given, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        maps.write_page(**{"path": "map.html", "module": maps.MODULE, "data": {}, "title": "Wrens"} | given)
    assert list(tmp_path.iterdir()) == []

"""The map's page in a browser: pointing, keys, filters, stages, and 10,000 images within a tenth of a second."""

import time

import pytest
import torch

from dmlbook import maps
from dmlbook.datasets.image_set import ImageSet
from dmlbook.maps import Map, Shown
from dmlbook.seeding import SEED, generator


def scene(count, classes=5, centers_per_class=3):
    """Images in the plane on a ring of groups, one color a class, seen by two methods, one of them after two stages."""
    draw = generator(SEED, "map in a browser")
    labels = torch.arange(count) % classes
    vectors = torch.randn(count, 8, generator=draw) + 3 * torch.eye(8)[labels]
    centers = torch.randn(classes, centers_per_class, 8, generator=draw) + 2 * torch.eye(8)[:classes, None]
    angles = 2 * torch.pi * labels / classes
    points = 5 * torch.stack([angles.cos(), angles.sin()], 1) + torch.randn(count, 2, generator=draw)
    places = 8 * torch.rand(classes, centers_per_class, 2, generator=draw) - 4
    images = (labels[:, None, None, None] * 50).byte().expand(count, 3, 16, 16).contiguous()
    image_set = ImageSet(images, labels, tuple(f"bird {c}" for c in range(classes)))
    early = Map(10 * torch.rand(count, 2, generator=draw) - 5, places)
    shown = [
        Shown("SoftTriple", early, vectors, centers, 0),
        Shown("SoftTriple", Map(points, places), vectors, centers, 5),
        Shown("bound", Map(points.flip(1)), vectors),
    ]
    return image_set, shown


@pytest.fixture
def show(tmp_path, open_page):
    def shown(count, **options):
        image_set, views = scene(count)
        data = maps.view_data(image_set, views, about="Colored squares.", side=16)
        path = maps.write_page(tmp_path / "map.html", maps.MODULE, data, title="A map", text="What to see.")
        page = open_page(path.as_uri(), **options)
        page.wait_for_selector("[data-running]")
        return page, image_set, views

    return shown


def said(page):
    return page.inner_text(".dml-caption")


def test_arrows_go_from_image_to_image_and_enter_holds_one(show):
    page, image_set, views = show(60)
    assert said(page) == "60 images. Colored squares."
    page.locator(".dml-plane").focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
        seen.append(said(page))
    assert len(set(seen)) >= 4
    number = int(seen[-1].split(":")[0].removeprefix("Image "))
    assert f"Image {number}: {image_set.class_names[int(image_set.labels[number])]}," in seen[-1]
    near = torch.nn.functional.normalize(views[0].embeddings, dim=1)
    order = (near[number] @ near.T).argsort(descending=True)[1:9]
    right = int((image_set.labels[order] == image_set.labels[number]).sum())
    assert f"{right} of its 8 nearest neighbors are of its class" in seen[-1]
    assert page.locator(".dml-strip .dml-right").count() == right
    assert page.locator(".dml-strip .dml-wrong").count() == 8 - right
    assert page.locator(".dml-strip li").nth(0).inner_text().endswith(("\u2713", "\u2717"))
    page.keyboard.press("Enter")
    box = page.locator(".dml-plane").bounding_box()
    for step in range(80):
        page.mouse.move(box["x"] + 20 + step * (box["width"] - 40) / 80, box["y"] + box["height"] / 3)
        assert said(page) == seen[-1]  # it is held
    page.keyboard.press("Escape")
    assert said(page) == "60 images. Colored squares."


def test_pointing_shows_what_lies_there_and_choosing_filters(show):
    page, _, _ = show(400)
    box = page.locator(".dml-plane").bounding_box()
    captions = set()
    for step in range(80):
        page.mouse.move(box["x"] + 20 + step * (box["width"] - 40) / 80, box["y"] + box["height"] / 2)
        captions.add(said(page))
    assert len(captions) > 3
    page.keyboard.press("Escape")
    page.get_by_label("class").select_option("2")
    page.locator(".dml-plane").focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
        assert "bird 2" in said(page)  # others are not reached
    page.keyboard.press("Escape")
    center = page.get_by_label("center")
    values = [option.get_attribute("value") for option in center.locator("option").all()]
    center.select_option(values[1])
    words = center.locator("option").nth(1).inner_text()
    assert said(page) == f"Center {words.split()[0]} of bird 2 serves {words.split('(')[1].split()[0]} images."
    page.locator(".dml-plane").focus()
    for key in ("ArrowRight", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
        assert f"nearest center {words.split()[0]} of its class" in said(page)  # others are not reached


def test_methods_and_stages_change_the_picture_and_zoom_comes_back(show):
    page, _, _ = show(60)
    picture = "document.querySelector('.dml-plane canvas').toDataURL()"
    first = page.evaluate(picture)
    slider = page.get_by_role("slider")
    assert page.locator(".dml-bar output").inner_text() == "5"  # the last stage comes first
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(700)
    later = page.evaluate(picture)
    assert later != first
    assert page.locator(".dml-bar output").inner_text() == "0"
    page.locator(".dml-plane").focus()
    page.keyboard.press("+")
    assert page.evaluate(picture) != later
    page.keyboard.press("0")
    assert page.evaluate(picture) == later
    page.get_by_label("embedding").select_option("1")
    page.wait_for_timeout(700)
    assert page.evaluate(picture) != later
    assert not slider.is_visible()  # the bound has one stage


def test_ten_thousand_images_answer_within_a_tenth_of_a_second(show):
    page, _, _ = show(10_000)
    box = page.locator(".dml-plane").bounding_box()
    spent = []
    for step in range(30):
        start = time.perf_counter()
        page.mouse.move(box["x"] + 60 + 15 * step, box["y"] + 80 + 11 * step)
        page.evaluate("new Promise(requestAnimationFrame)")
        spent.append(time.perf_counter() - start)
    assert said(page).startswith(("Image", "Center"))
    assert sorted(spent)[len(spent) // 2] < 0.1


def test_it_fits_a_phone(show):
    page, _, _ = show(60, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

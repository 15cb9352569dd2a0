"""The explorers of the pages: numbers and words are Python's; they are dragged, and moved by keys; they fit a phone."""

import inspect
import itertools
import re
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import numpy as np
import pytest
import torch

from dmlbook import maps
from dmlbook.book.web import BrowserView
from dmlbook.chapters import explorers
from dmlbook.chapters.ch03 import figures
from dmlbook.seeding import generator
from tests import drawn

HERE = {
    number: kind for number, kind in explorers().items() if Path(inspect.getfile(kind)).with_suffix(".js").is_file()
}
CHAPTERS = tuple(HERE)
IMPORT = """async () => {
  const blob = new Blob([window.dmlbookLive.view.source], { type: "text/javascript" });
  window.explorer = await import(URL.createObjectURL(blob));
}"""
ASK = """states => {
  const { data } = dmlbookLive.view;
  return states.map((state) => [explorer.compute(state, data), explorer.say(state, data)]);
}"""
STEP = "([state, count]) => explorer.step(state, dmlbookLive.view.data, count)"
DRAWN = "() => [...document.querySelectorAll('.dmlx svg')].map(svg => svg.outerHTML)"
OUTSIDE = """() => [...document.querySelectorAll('.dmlx, .dmlx *')].filter(node => {
  const [card, box] = [document.querySelector('.dmlx'), node].map(each => each.getBoundingClientRect());
  return box.width && (box.left < card.left - 0.5 || box.right > card.right + 0.5);
}).map(node => `${node.tagName} ${node.textContent}`)"""


@pytest.fixture
def show(tmp_path, open_page):
    """A function that opens an explorer's page from the file system, and waits until its module runs."""

    def shown(view: BrowserView, **options):
        (tmp_path / "module.js").write_text(view.source, encoding="utf-8")
        path = maps.write_page(tmp_path / "page.html", tmp_path / "module.js", view.data, title="An explorer")
        page = open_page(path.as_uri(), **options)
        page.wait_for_selector("[data-running]")
        page.evaluate(IMPORT)
        return page

    return shown


def close(values, rel=1e-9):
    return pytest.approx(np.asarray(values, dtype=float), rel=rel, abs=1e-11)


def caption(page) -> str:
    return page.inner_text(".dmlx-caption")


def mark(page, name: str):
    return page.get_by_role("slider", name=name, exact=True)


def middle(locator) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, locator, to: tuple[float, float]) -> None:
    page.mouse.move(*middle(locator))
    page.mouse.down()
    page.mouse.move(*to, steps=4)
    page.mouse.up()


def test_there_is_a_module_for_the_chapters_whose_arithmetic_is_small():
    assert CHAPTERS == ("02", "03", "05")


@pytest.mark.parametrize("number", CHAPTERS)
def test_it_starts_with_the_words_of_python(show, shoot, number):
    explorer = HERE[number]()
    page = show(explorer.browser())
    assert caption(page) == explorer.text.value
    shoot(page)


def test_numbers_and_words_of_chapter_02_are_pythons(show):
    explorer = HERE["02"]()
    page = show(explorer.browser())
    grids = (explorer.grid("scale"), [-180, -143, -90, -17, 0, 37, 122, 180], explorer.grid("own"))
    states = [dict(zip(("scale", "angle", "own"), each, strict=True)) for each in itertools.product(*grids)]
    assert len(states) > 200
    for state, (found, said) in zip(states, page.evaluate(ASK, states), strict=True):
        explorer.set(**state)
        assert said == explorer.text.value
        assert found["image"] == close(explorer.image.get_xydata()[0])
        assert found["weights"] == close([bar.get_height() for bar in explorer.weights])
        assert found["slopes"] == close([bar.get_height() for bar in explorer.slopes])
        assert [found["top"], found["loss"]] == close([explorer.hardest.get_ydata()[0], explorer.now.get_ydata()[0]])
        assert found["losses"] == close(explorer.loss.get_ydata())
        assert found["ceiling"] == close(explorer.band.get_xy()[1:121, 1])
        assert found["pulls"] == close([line.get_xydata()[1] for line in explorer.pulls])


def circle_states() -> list[dict]:
    draws = torch.randint(-180, 181, (6, 8), generator=generator(3, "circle"))
    places = [([0, 180, 90, -90], [40, 110, 15, -140]), ([-180] * 4, [-180] * 4), ([180] * 4, [0] * 4)]
    places += [(row[:4], row[4:]) for row in draws.tolist()]
    grids = itertools.product(places, (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), (0.0, 0.01, 0.37, 0.5))
    return [{"images": i, "centers": c, "gamma": gamma, "margin": margin} for (i, c), gamma, margin in grids]


def placed(explorer, state: dict):
    """The explorer of chapter 03 in a state of its module."""
    names = {
        name: value
        for kind in ("images", "centers")
        for name, value in zip(explorer.constants()[kind], state[kind], strict=True)
    }
    explorer.set(gamma=state["gamma"], margin=state["margin"], **names)
    return explorer


def test_numbers_and_words_of_chapter_03_are_pythons(show):
    explorer = HERE["03"]()
    page = show(explorer.browser())
    states = circle_states()
    assert len(states) > 200
    for state, (found, said) in zip(states, page.evaluate(ASK, states), strict=True):
        value, slopes = placed(explorer, state).gradient(explorer.angles("center"))
        assert said == explorer.text.value
        assert found["loss"] == close(value)
        assert found["slopes"] == close(slopes)
        assert found["turns"] == close((-30 * slopes).clamp(-30, 30))
        assert found["own"] == close([segment[:, 1] for segment in explorer.wins.get_segments()])
        assert found["goals"] == close([segment[0, 1] for segment in explorer.goals.get_segments()])
        assert np.transpose(found["curves"]) == close([curve.get_ydata() for curve in explorer.curves])


def test_the_ring_of_chapter_03_has_pythons_colors(show):
    explorer = HERE["03"]()
    page = show(explorer.browser())
    for state in circle_states()[::29]:
        placed(explorer, state)
        found = page.evaluate(ASK, [state])[0][0]["ring"]
        shades = page.evaluate("ring => ring.map(each => explorer.shade(each, dmlbookLive.view.data))", found)
        assert shades == close(figures.winner_colors(torch.tensor(found, dtype=torch.float64)))
        assert shades == close(explorer.ring.pieces.get_facecolor()[:, :3], rel=1e-6)


@pytest.mark.parametrize("centers", [(40, 110, 15, -140), (0, 0, 90, 90), (180, 180, 180, 180)])
def test_every_gamma_of_chapter_03_is_seen_and_said_also_where_it_changes_no_number(show, centers):
    explorer = HERE["03"]()
    explorer.set(gamma=0.01, **{f"center_{number}": angle for number, angle in enumerate(centers)})
    page = show(explorer.browser())
    seen, said, pictures = {tuple(page.evaluate(DRAWN))}, {caption(page)}, {explorer.picture.value}
    headings = {page.locator(".dmlx-right .dmlx-title").inner_text()}
    for gamma in explorer.grid("gamma")[1:]:
        page.get_by_label("gamma").press("ArrowRight")
        explorer.set(gamma=gamma)
        seen.add(tuple(page.evaluate(DRAWN)))
        headings.add(page.locator(".dmlx-right .dmlx-title").inner_text())
        pictures.add(explorer.picture.value)
        said.add(caption(page))
        assert caption(page) == explorer.text.value
    assert len(said) == len(headings) == len(pictures) == 6
    assert headings == {f"Similarity to each class, gamma {gamma:g}" for gamma in explorer.grid("gamma")}
    assert (len(seen) > 1) == (centers[0] != centers[1])  # of centers on one spot gamma is the name alone


def test_steps_of_chapter_03_are_pythons(show):
    explorer = HERE["03"]()
    page = show(explorer.browser())
    for state in circle_states()[::5]:
        placed(explorer, state).step(1)
        assert page.evaluate(STEP, [state, 1])["centers"] == close(explorer.angles("center"))
    for state in circle_states():
        if state["gamma"] >= 0.3 and len(set(state["images"])) > 1:  # sharper ones enlarge rounding at each step
            placed(explorer, state).step(20)
            assert page.evaluate(STEP, [state, 20])["centers"] == close(explorer.angles("center"), rel=1e-7)


def plane_states() -> list[dict]:
    fresh = HERE["05"]()
    draws = 2 * torch.rand(10, 12, 2, generator=generator(3, "plane"), dtype=torch.float64) - 1
    own = fresh.centroids[fresh.labels]
    places = [(fresh.samples, fresh.centroids), (own, fresh.centroids), (-own, fresh.centroids)]
    places += [(torch.ones(9, 2).double(), torch.ones(3, 2).double()), (draws[0, :9].sign(), draws[0, 9:].sign())]
    places += [(row[:9], row[9:]) for row in draws]
    grids = itertools.product(places, (0.0, 0.05, 0.5, 0.85, 1.0))
    return [{"samples": x.tolist(), "centroids": c.tolist(), "spread": spread, "what": 0} for (x, c), spread in grids]


def put(explorer, state: dict):
    """The explorer of chapter 05 in a state of its module."""
    explorer.samples, explorer.centroids = (
        torch.tensor(state[name], dtype=torch.float64) for name in ("samples", "centroids")
    )
    explorer.set(spread=state["spread"])
    return explorer


def test_numbers_and_words_of_chapter_05_are_pythons(show):
    explorer = HERE["05"]()
    page = show(explorer.browser())
    states = plane_states()
    assert len(states) > 60
    for state, (found, said) in zip(states, page.evaluate(ASK, states), strict=True):
        put(explorer, state)
        assert said == explorer.text.value
        assert {name: found[name] for name in explorer.figures} == pytest.approx(explorer.figures, rel=1e-9, abs=1e-11)
        assert found["points"] == close(explorer.points(state["spread"]))


def test_a_step_of_chapter_05_is_pythons(show):
    explorer = HERE["05"]()
    page = show(explorer.browser())
    for state in plane_states():
        put(explorer, state).actions["step down the bound"]()
        assert page.evaluate(STEP, [state, 1])["samples"] == close(explorer.samples)


def test_numbers_are_written_as_python_writes_them(show):
    explorer = HERE["05"]()
    view = explorer.browser()
    page = show(view)
    page.evaluate(IMPORT.replace("view.source", 'view.source + "export { fixed, signed }"'))
    draws = (4 * torch.rand(200, generator=generator(3, "digits"), dtype=torch.float64) - 2).tolist()
    values = [0.125, 0.375, -0.125, 2.5, 0.5, -0.5, 0.0, -0.0, -0.001, 1.005, 0.285, 12345.675, *draws]
    for digits in (0, 2, 3):
        told = page.evaluate(
            "([v, d]) => v.map(each => [explorer.fixed(each, d), explorer.signed(each, d)])", [values, digits]
        )
        assert told == [[f"{value:z.{digits}f}", f"{value:+z.{digits}f}"] for value in values]


def test_the_image_of_chapter_02_is_dragged_and_turned_by_keys(show, shoot):
    explorer = HERE["02"]()
    page = show(explorer.browser())
    dot = mark(page, "image")
    before, box = page.evaluate(DRAWN), page.locator(".dmlx svg").first.bounding_box()
    drag(page, dot, (box["x"] + box["width"] / 2, box["y"] + 5))
    explorer.set(angle=90)
    assert caption(page) == explorer.text.value
    assert all(one != other for one, other in zip(before, page.evaluate(DRAWN), strict=True))
    for key, angle in (("ArrowRight", 95), ("ArrowUp", 100), ("ArrowLeft", 95), ("Shift+ArrowDown", 94)):
        dot.press(key)
        explorer.set(angle=angle)
        assert caption(page) == explorer.text.value
    assert (dot.get_attribute("aria-valuenow"), dot.get_attribute("aria-valuetext")) == ("94", "94 degrees")
    page.get_by_label("scale lambda").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("radio", name="1").check()
    page.keyboard.press("ArrowRight")
    explorer.set(scale=50.0, own=2)
    assert caption(page) == explorer.text.value
    shoot(page)


def test_images_and_centers_of_chapter_03_are_dragged_and_turned_by_keys(show, shoot):
    explorer = HERE["03"]()
    page = show(explorer.browser())
    names = [
        explorer.controls[name].description for kind in ("images", "centers") for name in explorer.constants()[kind]
    ]
    assert len(names) == page.locator("[role=slider]").count() == 8
    before = page.evaluate(DRAWN)
    drag(page, mark(page, "center 1 of class 0"), middle(mark(page, "image north, class 1")))
    explorer.set(center_0=90)
    assert caption(page) == explorer.text.value
    drag(page, mark(page, "image south, class 1"), middle(mark(page, "center 2 of class 1")))
    explorer.set(image_south=-140)
    assert caption(page) == explorer.text.value
    assert all(one != other for one, other in zip(before, page.evaluate(DRAWN), strict=True))
    for control, name in zip(list(explorer.controls)[:8], names, strict=True):
        mark(page, name).press("ArrowLeft")
        explorer.set(**{control: (explorer.controls[control].value - 5 + 180) % 360 - 180})
        assert caption(page) == explorer.text.value, name
    for name, value in (("gamma", 0.3), ("margin", 0.02)):
        page.get_by_label(name).press("ArrowRight")
        explorer.set(**{name: value})
        assert caption(page) == explorer.text.value
    shoot(page)


def test_buttons_of_chapter_03_step_walk_and_start_anew(show):
    explorer = HERE["03"]()
    page = show(explorer.browser())
    for name in ("step", "20 steps", "random start", "20 steps", "random start"):
        page.get_by_role("button", name=name, exact=True).click()
        explorer.actions[name]()
        page.wait_for_function(
            "said => document.querySelector('.dmlx-caption').textContent === said", arg=explorer.text.value
        )
        assert caption(page) == explorer.text.value


def test_who_wants_less_motion_sees_twenty_steps_at_once(show):
    explorer = HERE["03"]()
    page = show(explorer.browser(), reduced_motion="reduce")
    page.evaluate("() => { window.requestAnimationFrame = () => { throw Error('moves') } }")
    page.get_by_role("button", name="20 steps").click()
    explorer.actions["20 steps"]()
    assert caption(page) == explorer.text.value


def test_samples_and_centroids_of_chapter_05_are_dragged_and_moved_by_keys(show, shoot):
    explorer = HERE["05"]()
    page = show(explorer.browser())
    names = [name for name, _ in explorer.controls["what"].options]
    before = page.evaluate(DRAWN)
    drag(page, mark(page, "sample 1, class 0"), middle(mark(page, "centroid 1")))
    explorer.set(what=0, east=-0.3, north=0.52)
    assert caption(page) == explorer.text.value
    assert all(one != other for one, other in zip(before, page.evaluate(DRAWN), strict=True))
    drag(page, mark(page, "centroid 2"), middle(mark(page, "sample 3, class 0")))
    place = [round(part, 2) for part in explorer.samples[2].tolist()]
    explorer.set(what=11)
    explorer.set(east=place[0], north=place[1])
    assert caption(page) == explorer.text.value
    for what, name in enumerate(names):
        explorer.set(what=what)
        values = explorer.values()
        mark(page, name).press("ArrowDown")
        explorer.set(east=round(values["east"], 2), north=round(values["north"] - 0.05, 2))
        assert caption(page) == explorer.text.value, name
    page.get_by_label("spread").press("ArrowLeft")
    explorer.set(spread=0.95)
    assert caption(page) == explorer.text.value
    for name in ("step down the bound", "start again"):
        page.get_by_role("button", name=name).click()
        explorer.actions[name]()
        assert caption(page) == explorer.text.value
    shoot(page)


def test_a_sample_that_is_drawn_in_is_put_so_that_it_is_drawn_under_the_pointer(show):
    explorer = HERE["05"]()
    explorer.set(spread=0.5)
    page = show(explorer.browser())
    sample = mark(page, "sample 2, class 0")
    x, y = middle(sample)
    drag(page, sample, (x + 30, y - 20))
    assert middle(sample) == pytest.approx((x + 30, y - 20), abs=1.0)
    page.get_by_label("spread").press("Home")
    drawn_in, said = middle(sample), sample.get_attribute("aria-valuetext")
    assert drawn_in == pytest.approx(middle(mark(page, "centroid 0")), abs=0.1)
    assert re.fullmatch(r"east -?\d\.\d\d, north -?\d\.\d\d", said)


@pytest.mark.parametrize("number", CHAPTERS)
def test_what_is_dragged_is_reached_by_tab_and_shows_its_focus(show, number):
    explorer = HERE[number]()
    page = show(explorer.browser())
    ring = "() => getComputedStyle(document.activeElement.querySelector('.dmlx-halo') ?? document.body).strokeWidth"
    rings, reached = [], []
    for _ in range(page.locator(".dmlx :is(input[type=range], input:checked, button, [tabindex])").count()):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.getAttribute('role') ?? document.activeElement.tagName"))
        rings.append(page.evaluate(ring))
    assert reached.count("slider") == page.locator("[role=slider]").count()
    assert {width for role, width in zip(reached, rings, strict=True) if role == "slider"} == {"3px"}
    assert page.locator(".dmlx-caption").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("number", CHAPTERS)
@pytest.mark.parametrize("width", [390, 736, 1000])
def test_it_fits_any_width_on_white_also_where_pages_are_dark(show, shoot, number, width):
    page = show(HERE[number]().browser(), width=width, color_scheme="dark", device_scale_factor=2)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(OUTSIDE) == []
    tops = [svg.bounding_box()["y"] for svg in page.locator(".dmlx svg").all()[:2]]
    assert (tops[1] > tops[0] + 200) == (width == 390)  # panels stack on a phone
    assert page.eval_on_selector(".dmlx", "card => getComputedStyle(card).backgroundColor") == "rgb(255, 255, 255)"
    shoot(page)


@pytest.mark.parametrize("number", CHAPTERS)
def test_classes_have_their_hues(show, number):
    explorer = HERE[number]()
    page = show(explorer.browser())
    fills = page.eval_on_selector_all("[role=slider] path", "all => all.map(each => each.getAttribute('fill'))")
    hues = drawn.PETROFF10
    expected = {"02": [0], "03": [0, 0, 1, 1] * 2, "05": [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 2]}
    assert fills == [hues[label] for label in expected[number]]


@pytest.mark.parametrize("number", CHAPTERS)
def test_a_finger_drags_it_and_the_page_stays(show, number):
    explorer = HERE[number]()
    page = show(explorer.browser(), width=390, height=500, has_touch=True)
    first = page.locator("[role=slider]").first
    first.scroll_into_view_if_needed()
    before, top, (x, y) = caption(page), page.evaluate("scrollY"), middle(first)
    session = page.context.new_cdp_session(page)
    for kind, places in (
        ("touchStart", [(x, y)]),
        ("touchMove", [(x - 20, y - 40)]),
        ("touchMove", [(x - 40, y - 80)]),
        ("touchEnd", []),
    ):
        points = [{"x": a, "y": b} for a, b in places]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert caption(page) != before
    assert page.evaluate("scrollY") == top

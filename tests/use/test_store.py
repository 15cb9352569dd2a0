"""A store is shared: whoever else writes to it, a photograph is in it once, and what is not ours is left alone."""

import multiprocessing
import shutil
from datetime import timedelta
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
import torch

from dmlbook.use import load_run
from dmlbook.use.gallery import Gallery
from dmlbook.use.photographs import leads_out
from dmlbook.use.store import Table
from tests.use.conftest import picture

lancedb = pytest.importorskip("lancedb")


def table(place, name="t", *, model="m", dimensions=2):
    return Table(str(place), name, model=model, dimensions=dimensions)


def known(paths):
    texts, numbers = [""] * len(paths), [1] * len(paths)
    return {"path": list(paths), "label": texts, "content": texts, "bytes": numbers, "modified": numbers}


def put(place, *paths, rows=None):
    place.put(known(paths), torch.ones(len(paths), place.dimensions) if rows is None else rows)


def paths(place):
    return sorted(row["path"] for row in place.rows(("path",)))


def test_two_that_had_opened_a_gallery_add_a_photograph_once(run, gallery_folder, tmp_path):
    one, other = (Gallery(run, gallery_folder, store=tmp_path / "store") for _ in range(2))
    one.update()
    assert len(other) == 5
    picture(9).save(gallery_folder / "new.png")
    assert (one.update().new, other.update().new) == (1, 0)
    assert len(one) == len(other) == len({path for path, _ in one.paths()}) == 6


def test_a_path_that_two_add_at_once_has_one_row(tmp_path):
    put(table(tmp_path), "a")
    one, other = (lancedb.connect(str(tmp_path)).open_table("t") for _ in range(2))  # that see the same state
    added = one.search().limit(1).to_arrow().set_column(0, one.schema.field("path"), [["b"]])
    for each in (one, other):
        each.merge_insert("path").when_matched_update_all().when_not_matched_insert_all().execute(added)
    assert paths(table(tmp_path)) == ["a", "b"]


def _add(place, start):
    start.wait(60)
    for first in range(0, 24, 6):
        put(table(place), *(f"{n}.png" for n in range(first, first + 6)))


@pytest.mark.slow
def test_processes_that_index_the_same_photographs_at_once_leave_each_of_them_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    working = [context.Process(target=_add, args=(str(tmp_path), start)) for _ in range(2)]
    for process in working:
        process.start()
    for process in working:
        process.join(120)
    assert [process.exitcode for process in working] == [0, 0]
    assert len(paths(table(tmp_path))) == 24


def test_a_gallery_that_was_absent_when_it_was_opened_is_seen_once_another_process_has_made_it(tmp_path):
    early, late = table(tmp_path), table(tmp_path)
    assert len(early) == 0
    put(late, "a")
    assert len(early) == 1
    put(early, "b")
    assert paths(late) == ["a", "b"]


def test_who_makes_a_table_that_another_has_just_made_adds_to_it(tmp_path, monkeypatch):
    early = table(tmp_path)
    assert len(early) == 0
    real = early._store.create_table

    def create(name, added, mode):
        monkeypatch.setattr(early._store, "create_table", real)
        put(table(tmp_path), "a")
        return real(name, added, mode=mode)

    monkeypatch.setattr(early._store, "create_table", create)
    put(early, "b")
    assert paths(early) == ["a", "b"]


def test_a_reader_goes_on_where_another_process_tidies_away_what_it_has_open(tmp_path, monkeypatch):
    monkeypatch.setattr("dmlbook.use.store.KEPT_VERSIONS", timedelta(0))
    writer = table(tmp_path)
    put(writer, "a", "b")
    reader = table(tmp_path)
    assert len(reader.nearest(torch.ones(2), 5)) == 2
    writer.remove(["a"])
    put(writer, "c", "d")
    with pytest.warns(UserWarning, match="cleanup_older_than"):
        writer.tidy()
    assert sorted(row["path"] for row in reader.nearest(torch.ones(2), 5)) == paths(reader) == ["b", "c", "d"]
    assert len(reader) == 3


@pytest.mark.parametrize("rows", [[{"customer": "x", "path": "y"}], [{"vector": [1.0, 2.0], "path": "y", "label": ""}]])
def test_a_table_of_something_else_is_left_as_it_is(rows, run, gallery_folder, tmp_path):
    store = lancedb.connect(str(tmp_path / "store"))
    store.create_table("t", rows)
    gallery = Gallery(run, gallery_folder, store=tmp_path / "store", table="t")
    calls = (gallery.update, gallery.paths, lambda: len(gallery), lambda: gallery.search(torch.ones(1, 8)))
    for call in calls:
        with pytest.raises(ValueError, match=r"table must name a gallery, or nothing that is there; got t with"):
            call()
    assert store.open_table("t").search().limit(9).to_list() == rows


def test_an_index_of_the_store_hides_no_neighbor(tmp_path):
    draw = torch.Generator().manual_seed(3)
    vectors = torch.randn(900, 8, generator=draw)
    put(table(tmp_path, dimensions=8), *(f"{n}" for n in range(900)), rows=vectors)
    opened = lancedb.connect(str(tmp_path)).open_table("t")
    opened.create_index("vector", config=lancedb.index.IvfFlat(distance_type="l2", num_partitions=300))
    place = table(tmp_path, dimensions=8)
    for query in torch.randn(10, 8, generator=draw):
        expected = (vectors - query).norm(dim=1).topk(50, largest=False).indices
        assert {int(row["path"]) for row in place.nearest(query, 50)} == set(expected.tolist())


def test_every_failure_of_the_store_is_one_sentence(tmp_path):
    place = table(tmp_path)
    put(place, "a", "b")
    for file in (tmp_path / "t.lance").rglob("*"):
        if file.is_file():
            file.write_bytes(b"broken")
    calls = {
        "len": lambda: len(place),
        "rows": lambda: place.rows(("path",)),
        "nearest": lambda: place.nearest(torch.ones(2), 1),
        "put": lambda: put(place, "c"),
        "remove": lambda: place.remove(["a"]),
        "tidy": place.tidy,
        "of_others": lambda: place.of_others,
    }
    for call in calls.values():
        with pytest.raises(ValueError, match="store must be a vector store that can be opened and written; got"):
            call()


def test_runs_that_share_a_store_keep_a_gallery_each(run, run_folder, gallery_folder, tmp_path):
    other = load_run(run_folder, size=40)

    def opened():
        return [Gallery(each, gallery_folder, store=tmp_path / "store") for each in (run, other)]

    assert [gallery.update().new for gallery in opened()] == [5, 5]
    assert [gallery.update().kept for gallery in opened()] == [5, 5]


def test_a_table_of_another_model_is_replaced_only_where_that_is_asked_for(run, run_folder, gallery_folder, tmp_path):
    first, wider = (
        Gallery(each, gallery_folder, store=tmp_path / "store", table="ours")
        for each in (run, load_run(run_folder, size=40))
    )
    first.update()
    with pytest.raises(ValueError, match="Gallery.update: table must hold photographs of this model alone; got ours w"):
        wider.update()
    with pytest.raises(ValueError, match="gallery must hold photographs; got none .* but 5 of another model"):
        wider.search(torch.ones(1, 8))
    assert (len(first), len(wider)) == (5, 0)
    assert wider.update(replace=True).new == 5
    assert (len(first), len(wider)) == (0, 5)


def test_a_run_replaces_its_own_former_gallery_in_its_own_folder(run, run_folder, gallery_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "run")
    for size in (None, 40):
        assert Gallery(load_run(tmp_path / "run", size=size), gallery_folder).update().new == 5
    assert len(Gallery(load_run(tmp_path / "run"), gallery_folder)) == 0


def test_a_store_in_the_home_folder_is_there(run, gallery_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    assert Gallery(run, gallery_folder, store="~/vectors").table.place == str(tmp_path / "home" / "vectors")
    assert Gallery(run, gallery_folder, store=Path("~/vectors")).table.place == str(tmp_path / "home" / "vectors")


def test_a_folder_with_a_long_name_has_a_gallery(run, tmp_path):
    folder = tmp_path / ("long.name-" * 12)
    folder.mkdir()
    picture(1).save(folder / "1.png")
    gallery = Gallery(run, folder, store=tmp_path / "store")
    assert gallery.update().new == 1
    assert Gallery(run, folder, store=tmp_path / "s", table="a.b_c-1").table.name == "a.b_c-1"


@pytest.mark.parametrize("name", ["../x", "..", "/x", "a/../../x"])
def test_paths_that_lead_out_are_known(name):
    assert leads_out(PurePosixPath(name))
    assert leads_out(PureWindowsPath(name))


@pytest.mark.parametrize("name", ["C:x", "\\x", "..\\x", "C:\\x", "\\\\host\\share\\x"])
def test_paths_that_lead_out_of_windows_folders_are_known(name):
    assert leads_out(PureWindowsPath(name))
    assert not leads_out(PurePosixPath("a", "1.png"))

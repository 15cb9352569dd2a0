"""A gallery is what its folder is, embeds only what is new, and finds exactly what comparing all would find."""

import os
import shutil
from dataclasses import replace

import pytest
import torch
from PIL import Image

from dmlbook import nets
from dmlbook.use import load_run, run_folders
from dmlbook.use.gallery import Change, Gallery, Hit
from dmlbook.use.photographs import Found, Photograph, find_photographs
from dmlbook.use.store import Table
from dmlbook.use.trained import Run
from tests.use.conftest import picture

pytest.importorskip("lancedb")


@pytest.fixture
def gallery(run, gallery_folder, tmp_path):
    return Gallery(run, gallery_folder, store=tmp_path / "store")


@pytest.fixture
def embedded(monkeypatch):
    """Numbers of photographs that the network was shown."""
    seen, original = [], Run.embed

    def counted(self, images, **options):
        seen.extend(images.paths)
        return original(self, images, **options)

    monkeypatch.setattr(Run, "embed", counted)
    return seen


def counts(change):
    return change.new, change.changed, change.removed, change.kept


def test_only_new_and_changed_photographs_are_embedded_and_those_gone_are_removed(gallery, gallery_folder, embedded):
    first = gallery.update()
    assert isinstance(first, Change)
    assert (counts(first), str(first)) == ((5, 0, 0, 0), "5 new")
    assert len(gallery) == 5
    embedded.clear()
    assert counts(gallery.update()) == (0, 0, 0, 5)
    assert embedded == []
    (gallery_folder / "a" / "1.png").unlink()
    picture(7).save(gallery_folder / "a" / "2.png")
    picture(8).save(gallery_folder / "b" / "5.png")
    change = gallery.update()
    assert (counts(change), str(change)) == ((1, 1, 1, 3), "1 new, 1 changed, 1 removed, 3 as before")
    assert sorted(embedded) == ["a/2.png", "b/5.png"]
    assert [path for path, _ in gallery.paths()] == sorted(
        each.path for each in find_photographs(gallery_folder).photographs
    )
    (hits,) = gallery.search(gallery.run.embed_files([gallery_folder / "a" / "2.png"]), most=1)
    assert hits[0].path == "a/2.png"  # by its new picture
    assert hits[0].distance < 1e-6


def test_a_gallery_opened_again_is_the_one_that_was_left(gallery, run, gallery_folder, tmp_path, embedded):
    gallery.update()
    embedded.clear()
    again = Gallery(run, gallery_folder, store=tmp_path / "store")
    assert len(again) == 5
    assert counts(again.update()) == (0, 0, 0, 5)
    assert embedded == []


def test_a_file_exchanged_under_the_same_size_and_time_is_found_by_its_content(gallery, gallery_folder):
    path = gallery_folder / "a" / "1.bmp"
    picture(1).save(path)
    gallery.update()
    before = path.stat()
    picture(2).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert gallery.update().changed == 0
    assert gallery.update(verify=True).changed == 1
    assert gallery.update(verify=True).changed == 0


def test_another_model_embeds_everything_anew_and_its_rows_alone_are_searched(gallery, run_folder, gallery_folder):
    gallery.update()
    other = load_run(run_folder, size=40)
    assert other.model != gallery.run.model
    of_other = Gallery(other, gallery_folder, store=gallery.table.place, table=gallery.table.name)
    assert len(of_other) == 0
    with pytest.raises(ValueError, match=r"Gallery.search: gallery must hold photographs"):
        of_other.search(torch.ones(1, 8))
    assert counts(of_other.update(replace=True)) == (5, 0, 0, 0)
    assert (len(of_other), len(gallery)) == (5, 0)


def test_a_model_of_another_width_takes_the_place_of_the_former(gallery, gallery_folder, run):
    gallery.update()
    wider = replace(run, net=nets.build("small", embedding_size=11, seed=2).eval())
    again = Gallery(wider, gallery_folder, store=gallery.table.place, table=gallery.table.name)
    with pytest.raises(ValueError, match="of this model alone; got .* with 5 photographs of another one"):
        again.update()
    assert counts(again.update(replace=True)) == (5, 0, 0, 0)
    assert again.search(torch.ones(1, 11), most=9)[0][0].distance >= 0


def test_what_is_found_is_what_comparing_all_in_float64_finds(run, tmp_path):
    draw = torch.Generator().manual_seed(5)
    vectors = torch.nn.functional.normalize(torch.randn(700, 8, generator=draw), dim=1)
    queries = torch.nn.functional.normalize(torch.randn(9, 8, generator=draw), dim=1)
    vectors[10] = vectors[20]  # two alike
    table = Table(str(tmp_path), "all", model=run.model, dimensions=8)
    known = {"path": [f"{n:03d}" for n in range(700)], "label": [""] * 700, "content": [""] * 700}
    table.put({**known, "bytes": [1] * 700, "modified": [1] * 700}, vectors)
    gallery = Gallery(run, tmp_path, store=tmp_path, table="all")
    for query, hits in zip(queries, gallery.search(queries, most=17), strict=True):
        squares = [[(float(a) - float(b)) ** 2 for a, b in zip(query, vector, strict=True)] for vector in vectors]
        distances = [sum(each) ** 0.5 for each in squares]  # literally
        order = sorted(range(700), key=lambda n: (distances[n], n))[:17]
        assert [int(hit.path) for hit in hits] == order
        assert [hit.distance for hit in hits] == pytest.approx([distances[n] for n in order], abs=1e-9)
    (same,) = gallery.search(vectors[10][None], most=2)
    assert same == [Hit("010", "", 0.0), Hit("020", "", 0.0)]
    assert len(gallery.search(queries[:1], most=5000)[0]) == 700


def test_a_broken_photograph_is_named_and_the_others_are_indexed(gallery, gallery_folder):
    (gallery_folder / "a" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"Gallery.update: photographs must be readable; got 1 of 6"):
        gallery.update()
    assert len(gallery) == 5
    with pytest.warns(UserWarning, match=r"broken.jpg: it is no picture"):
        change = gallery.update(skip_corrupt=True)
    assert (counts(change), list(change.unreadable)) == ((0, 0, 0, 5), ["a/broken.jpg"])
    (gallery_folder / "a" / "1.png").write_bytes(b"broken later")
    with pytest.warns(UserWarning, match="2 of 6"):
        gallery.update(skip_corrupt=True)
    assert "a/1.png" not in dict(gallery.paths())


def test_a_photograph_that_stays_broken_makes_no_unchanged_update_write(gallery, gallery_folder, monkeypatch):
    (gallery_folder / "a" / "broken.jpg").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="1 of 6"):
        gallery.update(skip_corrupt=True)
    written = []
    for name in ("put", "tidy"):
        monkeypatch.setattr(Table, name, lambda self, *_, name=name: written.append(name))
    with pytest.warns(UserWarning, match="1 of 6"):
        assert counts(gallery.update(skip_corrupt=True)) == (0, 0, 0, 5)
    assert written == []
    (gallery_folder / "a" / "1.png").unlink()
    with pytest.warns(UserWarning, match="1 of 5"):
        gallery.update(skip_corrupt=True)
    assert written == ["tidy"]


def test_an_update_that_was_stopped_goes_on_where_it_was(gallery, gallery_folder, monkeypatch, embedded):
    monkeypatch.setattr("dmlbook.use.gallery.AT_ONCE", 2)
    original = Table.put

    def stopped(self, known, vectors):
        if len(self) >= 2:
            raise KeyboardInterrupt
        original(self, known, vectors)

    monkeypatch.setattr(Table, "put", stopped)
    with pytest.raises(KeyboardInterrupt):
        gallery.update(batch_size=1)
    assert len(gallery) == 2
    monkeypatch.setattr(Table, "put", original)
    embedded.clear()
    assert counts(gallery.update()) == (3, 0, 0, 2)
    assert len(embedded) == 3


def test_one_process_updates_a_gallery_at_a_time(gallery, monkeypatch):
    inner, original = [], Table.put

    def put(self, known, vectors):
        original(self, known, vectors)
        if not inner:
            inner.append(1)
            with pytest.raises(ValueError, match="gallery must be updated by one process at a time"):
                Gallery(gallery.run, gallery.folder, store=gallery.table.place).update()

    monkeypatch.setattr(Table, "put", put)
    gallery.update()
    assert inner


def test_galleries_of_one_name_in_two_places_are_two_and_lie_with_the_run(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    run = load_run(folder)
    for place in ("x", "y"):
        (tmp_path / place / "photos").mkdir(parents=True)
        picture(ord(place)).save(tmp_path / place / "photos" / "1.png")
        Gallery(run, tmp_path / place / "photos").update()
    kept = sorted(path.name[:7] for path in (run_folders.find(folder) / "galleries").glob("*.lance"))
    assert kept == ["photos-", "photos-"]
    assert load_run(folder).model == run.model  # the run is what it was


def test_a_store_is_not_believed_where_it_names_files_outside(gallery):
    for path in ("../../secret.png", "/etc/secret.png", "a/../../secret.png"):
        with pytest.raises(ValueError, match="path must lie below the gallery's folder"):
            gallery.file_of(path)
    assert gallery.file_of("a/1.png") == gallery.folder / "a" / "1.png"


def test_what_no_gallery_can_be_made_of_is_refused(run, gallery, tmp_path, monkeypatch):
    gallery.update()
    for queries in (torch.ones(1, 5), torch.full((1, 8), float("nan"))):
        with pytest.raises(ValueError, match=r"queries must be finite and \(Q, 8\)"):
            gallery.search(queries)
    with pytest.raises(ValueError, match="table must be a word"):
        Gallery(run, tmp_path, store=tmp_path / "s", table="../x")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="store must be a vector store that can be opened and written"):
        Gallery(run, gallery.folder, store=tmp_path / "file").update()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'lancedb must be installed .* pip install -e ".\[search\]"'):
        Gallery(run, tmp_path)


def test_photographs_are_found_wherever_they_lie_with_the_outermost_folder_for_their_class(gallery_folder, tmp_path):
    (gallery_folder / "notes.txt").write_text("")
    (gallery_folder / ".hidden.png").write_bytes(b"")
    found = find_photographs(gallery_folder)
    assert isinstance(found, Found)
    assert [(each.path, each.label) for each in found.photographs][:4] == [
        ("a/1.png", "a"), ("a/2.png", "a"), ("b/deep/3.png", "b"), ("b/deep/4.png", "b"),
    ]  # fmt: skip
    loose = found.photographs[4]
    assert isinstance(loose, Photograph)
    assert (loose.label, loose.bytes) == ("", (gallery_folder / loose.path).stat().st_size)
    assert found.left_out == {".txt": 1, "hidden and system files": 1}
    assert "1 .txt" in found.remarks()[0]
    for part in ("train", "test"):
        (tmp_path / "parts" / part / "ash").mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "parts" / part / "ash" / "1.png")
    assert [each.label for each in find_photographs(tmp_path / "parts").photographs] == ["ash", "ash"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="find_photographs: root must hold photographs; got none"):
        find_photographs(tmp_path / "empty")
    with pytest.raises(ValueError, match="root must be a folder of photographs"):
        find_photographs(tmp_path / "nowhere")

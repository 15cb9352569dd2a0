"""Files of embeddings and pages of results: what is written is what is read, whole or not at all."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from dmlbook.retrieval.exact import ROUNDING, SAMPLE
from dmlbook.use.gallery import Hit
from dmlbook.use.nearest import nearest_in
from dmlbook.use.page import Answer, cosine, shown_distance, thumbnail, write_results
from dmlbook.use.store import INSTALL
from dmlbook.use.vector_files import Vectors, check_suffix, read_vectors, write_vectors


@pytest.fixture
def vectors():
    rows = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    return Vectors(rows, ("a/1.png", "b/ö'2.png", "3.png"), ("a", "b", ""), {"model": "m", "root": "x"})


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_embeddings_come_back_as_they_were_written(vectors, suffix, tmp_path):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = write_vectors(tmp_path / f"v{suffix}", vectors)
    found = read_vectors(path)
    assert torch.equal(found.vectors, vectors.vectors)
    assert (found.paths, found.labels, found.about) == (vectors.paths, vectors.labels, vectors.about)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="read_vectors: vectors must be a file of embeddings"):
        read_vectors(path)
    with pytest.raises(ValueError, match="vectors must be a file of embeddings"):
        read_vectors(tmp_path / f"absent{suffix}")


def test_the_npz_is_read_by_numpy_without_pickle_and_the_parquet_by_pandas(vectors, tmp_path):
    with np.load(write_vectors(tmp_path / "v.npz", vectors), allow_pickle=False) as found:
        assert found["vectors"].dtype == np.float32
        assert found["paths"].tolist() == list(vectors.paths)
        assert json.loads(str(found["about"]))["model"] == "m"
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(write_vectors(tmp_path / "v.parquet", vectors))
    assert table["label"].isna().tolist() == [False, False, True]
    np.testing.assert_array_equal(np.stack(table["vector"]), vectors.vectors.numpy())


def test_names_of_other_files_and_what_does_not_fit_are_refused(vectors, tmp_path, monkeypatch):
    for name in ("v.csv", "v", "v.npz.gz"):
        with pytest.raises(ValueError, match="check_suffix: path must end in .npz or .parquet"):
            check_suffix(tmp_path / name)
        with pytest.raises(ValueError, match="--vectors must end in .npz or .parquet"):
            check_suffix(tmp_path / name, argument="--vectors")
    with pytest.raises(ValueError, match="vectors, paths and labels must be equally many; got 3, 2 and 3"):
        Vectors(vectors.vectors, vectors.paths[:2], vectors.labels, {})
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ValueError, match=re.escape(INSTALL)):
        check_suffix("v.parquet")
    assert ".[search]" in INSTALL


def test_the_nearest_are_those_of_a_literal_search_in_every_block(monkeypatch):
    monkeypatch.setattr("dmlbook.use.nearest.BLOCK", 150)
    draw = torch.Generator().manual_seed(2)
    queries, gallery = torch.randn(7, 3, generator=draw), torch.randn(50, 3, generator=draw)
    gallery[7] = gallery[3]
    distances, numbers = nearest_in(queries, gallery, most=5)
    for query, far, near in zip(queries, distances, numbers, strict=True):
        literal = [float((query.double() - row.double()).pow(2).sum().sqrt()) for row in gallery]
        order = sorted(range(50), key=lambda n: literal[n])[:5]
        assert far.tolist() == pytest.approx([literal[n] for n in order])
        assert [literal[n] for n in near.tolist()] == [literal[n] for n in order]
    assert nearest_in(queries, gallery, most=99)[0].shape == (7, 50)


def test_near_embeddings_keep_their_order_where_a_product_would_lose_it():
    query = torch.tensor([[100.0, 100.0]])
    gallery = query + torch.tensor([[4e-4, 0.0], [2e-4, 0.0], [0.0, 0.0], [3e-4, 0.0]])
    distances, numbers = nearest_in(query, gallery, most=4)
    assert numbers.tolist() == [[2, 1, 3, 0]]
    assert float(distances[0, 0]) == 0


@pytest.mark.parametrize("block", [1 << 25, 400])
@pytest.mark.parametrize("kind", ["near duplicates", "far from the origin", "all alike", "float64", "of every size"])
def test_none_of_the_nearest_is_missed_whatever_the_embeddings_are_like(kind, block, monkeypatch):
    monkeypatch.setattr("dmlbook.use.nearest.BLOCK", block)
    draw = torch.Generator().manual_seed(4)
    noise = torch.randn(300, 16, generator=draw)
    gallery = {
        "near duplicates": torch.nn.functional.normalize(noise[0] + 3e-5 * noise, dim=1),
        "far from the origin": 1000 + noise * 1e-3,
        "all alike": torch.ones(300, 16),
        "float64": noise.double(),
        "of every size": noise * torch.logspace(-9, 9, 300)[:, None],
    }[kind]
    assert len(gallery) > SAMPLE  # so that the middle is only a rough one
    assert torch.finfo(torch.float64).eps == 2 * ROUNDING  # what the bound of a product's errors is made of
    queries = gallery[:20].float() + 0
    distances, numbers = nearest_in(queries, gallery, most=12)
    far = (queries[:, None].double() - gallery[None].double()).norm(dim=2)
    expected, order = far.sort(dim=1, stable=True)
    assert torch.equal(numbers, order[:, :12])
    torch.testing.assert_close(distances, expected[:, :12].float(), rtol=1e-6, atol=0)


def test_an_empty_gallery_is_refused():
    with pytest.raises(ValueError, match="nearest_in: gallery must hold at least one embedding; got none"):
        nearest_in(torch.ones(1, 3), torch.ones(0, 3))


@pytest.fixture
def answers(gallery_folder):
    odd = next(path for path in gallery_folder.iterdir() if path.is_file())
    hits = [Hit(odd.name, "<i>class</i>", 0.25), Hit("a/1.png", "a", 0.5), Hit("gone.png", "", 1.0)]
    return [Answer(str(odd), hits, [odd, gallery_folder / "a" / "1.png", gallery_folder / "gone.png"])]


def test_a_page_of_results_holds_everything_and_runs_nothing(answers, tmp_path):
    path = write_results(tmp_path / "new" / "page.html", answers, title="A & B <x>", text="look", unit=True)
    page = path.read_text(encoding="utf-8")
    assert "<title>A &amp; B &lt;x&gt;</title>" in page
    assert not re.search(r"<script|<link|https?://|\son\w+=|<b>100%|<i>class", page)
    assert "default-src 'none'" in page
    assert str(tmp_path) not in page  # whoever gets the page learns no folder of this machine
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(pictures) == 3  # the query and two hits; the third is gone
    assert "no picture any more" in page
    assert all(Image.open(io.BytesIO(base64.b64decode(each))).size == (168, 126) for each in pictures)
    assert "<b>1. distance 0.250, cosine 0.969</b>" in page
    assert all('alt="' in tag for tag in re.findall("<img[^>]+>", page))
    assert "cosine" not in write_results(path, answers, title="t", unit=False).read_text(encoding="utf-8")


def test_a_photograph_that_many_queries_find_is_decoded_once(answers, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("dmlbook.use.page.thumbnail", lambda path: seen.append(path) or b"small")
    write_results(tmp_path / "p.html", answers * 5, title="t", unit=True)
    assert len(seen) == len(set(seen)) == 3


@pytest.mark.parametrize(
    "odd",
    [
        {"paths": np.array([1, 2])}, {"labels": np.array([1.0, 2.0])}, {"about": np.array("[1]")},
        {"about": np.array('{"root": 5}')}, {"vectors": np.array(["a", "b"])}, {"vectors": np.ones(2, np.float32)},
        {"vectors": np.ones((2, 3), np.int64)}, {"about": np.array("[" * 100_000)}, {"paths": np.array(["a"])},
    ],
)  # fmt: skip
def test_odd_files_of_embeddings_are_one_sentence(odd, tmp_path):
    whole = {"vectors": np.ones((2, 3), np.float32), "paths": np.array(["a", "b"]), "labels": np.array(["", ""])}
    np.savez(tmp_path / "v.npz", **{**whole, "about": np.array("{}"), **odd})
    with pytest.raises(ValueError, match="read_vectors: vectors must be a file of embeddings"):
        read_vectors(tmp_path / "v.npz")


def test_several_queries_can_be_reached_by_links(answers, tmp_path):
    page = write_results(tmp_path / "p.html", answers * 2, title="t", unit=True).read_text(encoding="utf-8")
    assert re.findall('href="#(q[0-9])"', page) == re.findall('<section id="(q[0-9])"', page) == ["q1", "q2"]
    with pytest.raises(ValueError, match="answers must hold at least one"):
        write_results(tmp_path / "p.html", [], title="t", unit=True)
    with pytest.raises(ValueError, match="path must name a file that can be written"):
        write_results(tmp_path, answers, title="t", unit=True)


def test_a_small_copy_keeps_proportions_and_loses_all_that_is_no_pixel(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", 6
    Image.new("RGB", (80, 40), "red").save(tmp_path / "turned.jpg", exif=exif)
    small = Image.open(io.BytesIO(thumbnail(tmp_path / "turned.jpg", side=32)))
    assert (small.size, dict(small.getexif())) == ((16, 32), {})


def test_the_cosine_is_that_of_unit_vectors():
    a, b = torch.nn.functional.normalize(torch.randn(2, 5, generator=torch.Generator().manual_seed(3)), dim=1)
    assert cosine(float((a - b).norm())) == pytest.approx(float(a @ b), abs=1e-6)
    assert shown_distance(2.0, unit=True) == "distance 2.000, cosine -1.000"

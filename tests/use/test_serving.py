"""The page of a gallery answers whoever may ask, about what it shows, and nothing else."""

import io
import json
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from dmlbook.use import serving
from dmlbook.use.gallery import Gallery
from dmlbook.use.serving import demo_app, is_allowed, names_of
from tests.use.conftest import picture

pytest.importorskip("lancedb")
testclient = pytest.importorskip("starlette.testclient")


def content(number=100, size=(40, 30)):
    buffer = io.BytesIO()
    picture(number, size).save(buffer, format="png")
    return buffer.getvalue()


@pytest.fixture
def gallery(run, gallery_folder, tmp_path):
    made = Gallery(run, gallery_folder, store=tmp_path / "store")
    made.update()
    return made


@pytest.fixture
def client(gallery):
    return testclient.TestClient(demo_app(gallery, most=3), base_url="http://localhost:8000")


def test_a_photograph_that_is_sent_comes_back_with_its_neighbors(client, gallery_folder):
    odd = next(path.name for path in gallery_folder.iterdir() if path.is_file())
    answer = client.post("/search", content=content()).json()
    assert len(answer.get("hits", answer)) == 3, answer
    first = answer["hits"][0]
    assert (first["path"], first["label"]) == (odd, "")
    assert first["distance"] == pytest.approx(0, abs=1e-5)
    assert first["cosine"] == pytest.approx(1, abs=1e-5)
    assert sorted(hit["distance"] for hit in answer["hits"]) == [hit["distance"] for hit in answer["hits"]]
    small = client.get(f"/picture/{first['number']}")
    assert (small.headers["content-type"], Image.open(io.BytesIO(small.content)).size) == ("image/jpeg", (168, 126))
    assert "5 photographs in photos" in client.get("/about").json()["text"]


def test_the_page_needs_no_other_host_and_runs_no_script_of_another(client):
    page = client.get("/")
    assert '<script src="/demo.js">' in page.text
    for path, kind in (("/", "text/html"), ("/demo.css", "text/css"), ("/demo.js", "text/javascript")):
        answer = client.get(path)
        assert answer.headers["content-type"].startswith(kind)
        assert "http://" not in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "innerHTML" not in client.get("/demo.js").text


@pytest.mark.parametrize(
    "path",
    [
        "/picture/5", "/picture/-1", "/picture/1.png", "/picture/../run.json",
        "/picture/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/..%2f..%2fpyproject.toml", "/a/1.png", "/demo.py", "/picture/" + "9" * 40, "/web/demo.html", "//etc/passwd",
    ],
)  # fmt: skip
def test_nothing_but_the_page_and_its_small_copies_can_be_fetched(client, path):
    assert client.get(path).status_code == 404


def test_a_photograph_that_is_gone_is_told_and_a_file_in_its_place_is_not_sent(client, gallery_folder):
    number = next(hit["number"] for hit in client.post("/search", content=content(101)).json()["hits"])
    (gallery_folder / "a" / "1.png").write_text("secret")
    answer = client.get(f"/picture/{number}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "options", "head"])
def test_a_search_is_posted(client, method):
    assert getattr(client, method)("/search").status_code == 405
    assert client.post("/").status_code == 405


@pytest.mark.parametrize("sent", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 99])
def test_what_is_no_photograph_is_refused_and_the_next_one_is_answered(client, sent):
    answer = client.post("/search", content=sent)
    assert answer.status_code == 415
    assert "no photograph that can be read" in answer.json()["error"]
    assert client.post("/search", content=content()).status_code == 200


def test_large_files_are_not_read_and_large_pictures_not_decoded(gallery, monkeypatch):
    app = demo_app(gallery, most_bytes=4000, most_pixels=1200)
    client = testclient.TestClient(app, base_url="http://127.0.0.1:8000")
    taken = []

    def endless():
        for _ in range(100):
            taken.append(1)
            yield b"x" * 1000

    answer = client.post("/search", content=endless())
    assert (answer.status_code, answer.json()["error"]) == (413, "A photograph may have 0.004 MB at most.")
    flat = io.BytesIO()
    Image.new("RGB", (41, 30)).save(flat, format="png")
    with monkeypatch.context() as patch:
        patch.setattr("dmlbook.datasets.photos.decoding.squeeze", lambda *_: pytest.fail("it was decoded"))
        assert client.post("/search", content=flat.getvalue()).status_code == 415
    assert client.post("/search", content=content(100)).status_code == 200  # 40 x 30: no more than that


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200), ("127.0.0.1:8000", 200), ("[::1]:8000", 200), ("LOCALHOST", 200),
        ("evil.example", 421), ("evil.example:8000", 421), ("localhost.evil.example", 421), ("10.0.0.1:8000", 421),
        ("localhost:8000@evil.example", 421), ("localhost:x", 421), ("", 421), ("127.0.0.1.evil.example:8000", 421),
    ],
)  # fmt: skip
def test_only_the_names_of_this_server_are_answered(client, host, status):
    for path in ("/", "/about", "/picture/0"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == status
        assert "content-security-policy" in answer.headers


def test_a_page_of_another_origin_cannot_ask(client):
    ours = client.post("/search", content=content(), headers={"Origin": "http://localhost:8000"})
    assert ours.status_code == 200
    for origin in ("http://evil.example", "null", "http://localhost:8001"):
        assert client.post("/search", content=content(), headers={"Origin": origin}).status_code == 403
    assert "access-control-allow-origin" not in ours.headers


def test_a_server_of_the_network_is_asked_by_number_or_by_its_own_name():
    names = {name.lower() for name in names_of("0.0.0.0")}
    assert is_allowed("192.168.1.5:8000", names)
    assert is_allowed("[fe80::1]:8000", names)
    assert not is_allowed("evil.example:8000", names)
    assert not is_allowed("192.168.1.5:8000", names_of("127.0.0.1"))
    assert is_allowed("tower.local", {name.lower() for name in names_of("tower.local")})


def test_nothing_that_was_sent_is_kept(client, gallery, tmp_path, monkeypatch):
    own = tmp_path / "temporary"  # nobody else writes there
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))

    def files():
        return {path for root in (tmp_path, gallery.run.folder) for path in root.rglob("*") if path.is_file()}

    before = files()
    assert client.post("/search", content=content(55)).status_code == 200
    assert files() == before


def test_an_empty_gallery_and_a_missing_part_are_refused(run, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="demo_app: gallery must hold photographs"):
        demo_app(Gallery(run, tmp_path, store=tmp_path / "s"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'starlette must be installed .*pip install -e ".\[demo\]"'):
        serving.check_installed()


def test_few_photographs_are_decoded_at_once_however_many_are_sent(client, monkeypatch):
    now, most, lock = [], [], threading.Lock()
    original = serving.decode_content

    def counted(*given, **options):
        with lock:
            now.append(1)
            most.append(len(now))
        time.sleep(0.05)
        with lock:
            now.pop()
        return original(*given, **options)

    monkeypatch.setattr(serving, "decode_content", counted)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/search", content=content()).status_code, range(8)))
    assert answers == [200] * 8
    assert max(most) <= serving.DECODED_AT_ONCE


def test_a_gallery_that_fails_is_told_without_its_folders(client, gallery, gallery_folder):
    gallery.table._store.drop_all_tables()
    answer = client.post("/search", content=content())
    assert (answer.status_code, list(answer.json())) == (503, ["error"])
    assert str(gallery_folder.parent) not in answer.text


def test_the_page_names_run_and_folder_as_they_are_called(run, gallery_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(gallery_folder)
    here = Gallery(run, ".", store=tmp_path / "store")
    here.update()
    client = testclient.TestClient(demo_app(here), base_url="http://localhost:8000")
    assert client.get("/about").json()["text"] == f"5 photographs in photos, by the run trees/{run.folder.name}."


def test_many_may_ask_at_once_and_the_network_answers_one_at_a_time(client, monkeypatch):
    def ask(number):
        return json.loads(client.post("/search", content=content(100 + number % 5)).text)["hits"]

    serial, inside, most, counting, search = [ask(n) for n in range(8)], [], [], threading.Lock(), Gallery.search

    def counted(*given, **options):
        with counting:
            inside.append(1)
            most.append(len(inside))
        time.sleep(0.02)
        found = search(*given, **options)
        with counting:
            inside.pop()
        return found

    monkeypatch.setattr(Gallery, "search", counted)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(8))) == serial
    assert most == [1] * 8

"""The published index files: what they say, and that damage is told by the name of the file."""

from __future__ import annotations

import pytest

from dmlbook.datasets.photos import indexes
from tests.datasets.image_trees import cars_layout, cub_layout, sop_layout
from tests.datasets.photos.test_layouts import rows

CLASSES = {"001.Auk": 2, "002.Bee_eater": 1, "003.Crane": 3}


def test_cub_is_read_from_its_index_files(tmp_path):
    found = indexes.cub(cub_layout(tmp_path, CLASSES))
    assert found.layout == "official"
    assert rows(found)[3] == ("images/003.Crane/img0.jpg", "003.Crane", 3)
    (tmp_path / "images.txt").write_text("1 001.Auk/img0.jpg\n")
    with pytest.raises(ValueError, match="1 files in images.txt and 6 in image_class_labels.txt"):
        indexes.cub(tmp_path)
    (tmp_path / "images.txt").write_text("1 001.Auk/img0.jpg\n2\n")
    with pytest.raises(ValueError, match=r"images\.txt must hold 2 columns of text; got 1 in line 2"):
        indexes.cub(tmp_path)
    (tmp_path / "images.txt").unlink()
    assert indexes.cub(tmp_path) is None


def test_sop_is_read_from_its_tables(tmp_path):
    found = indexes.sop(sop_layout(tmp_path, {1: 2, 2: 1}, {3: 1}))
    assert rows(found) == [
        ("bicycle_final/111_0.JPG", "bicycle 1", 1),
        ("bicycle_final/111_1.JPG", "bicycle 1", 1),
        ("bicycle_final/112_0.JPG", "bicycle 2", 2),
        ("bicycle_final/113_0.JPG", "bicycle 3", 3),
    ]
    (tmp_path / "Ebay_test.txt").unlink()
    assert indexes.sop(tmp_path) is None


def test_both_layouts_of_cars_give_the_same_classes(tmp_path):
    names = ["Acura RL Sedan 2012", "Audi A5", "BMW M3"]
    new = indexes.cars(cars_layout(tmp_path / "new", names, [2, 1], [3, 1]))
    old = indexes.cars(cars_layout(tmp_path / "old", names, [2, 1], [3, 1], old=True))
    assert [entry.number for entry in new.entries] == [entry.number for entry in old.entries] == [1, 1, 2, 3]
    assert [entry.class_name for entry in new.entries] == [entry.class_name for entry in old.entries]
    assert rows(new)[2:] == [("cars_train/00001.jpg", "Audi A5", 2), ("cars_test/00001.jpg", "BMW M3", 3)]
    assert rows(old)[3] == ("car_ims/000003.jpg", "BMW M3", 3)
    assert indexes.cars(tmp_path) is None


def test_cars_without_the_labels_of_its_test_images_say_where_to_get_them(tmp_path):
    cars_layout(tmp_path, ["a", "b"], [1], [2])
    (tmp_path / "cars_test_annos_withlabels.mat").unlink()
    with pytest.raises(ValueError, match=r"got no \['cars_test_annos_withlabels.mat'\].*issues/7545"):
        indexes.cars(tmp_path)


@pytest.mark.parametrize(
    ("number", "file", "message"),
    [
        (0, "1.jpg", r"cars_annos\.mat must hold a file and a class in 1\.\.2 in each row; got .*class 0 in row 2"),
        (3, "1.jpg", "and class 3 in row 2"),
        (2, "/etc/passwd", r"cars_annos\.mat must name files below its folder; got '/etc/passwd'"),
        (2, "car_ims/../../x.jpg", "must name files below its folder"),
        (2, "car_ims/000001.jpg", "must name each file once; got 'car_ims/000001.jpg' twice"),
        (None, "1.jpg", "and class None in row 2"),
    ],
)
def test_classes_and_files_out_of_bounds_are_told(tmp_path, monkeypatch, number, file, message):
    cars_layout(tmp_path, ["Audi A5", "BMW M3"], [1], [2], old=True)
    rows = [{"relative_im_path": "car_ims/000001.jpg", "class": 1}, {"relative_im_path": file, "class": number}]
    monkeypatch.setattr(indexes, "read_mat", lambda path: [{"class_names": ["Audi A5", "BMW M3"], "annotations": rows}])
    with pytest.raises(ValueError, match=message):
        indexes.cars(tmp_path)


def test_kaggles_doubled_folders_of_cars_are_read(tmp_path):
    names = ["Acura RL", "Audi A5"]
    plain = indexes.cars(cars_layout(tmp_path, names, [2, 1], [1]))
    for name in ("cars_train", "cars_test"):
        (tmp_path / name).rename(tmp_path / "aside")
        (tmp_path / name).mkdir()
        (tmp_path / "aside").rename(tmp_path / name / name)
    (tmp_path / "car_devkit").mkdir()
    (tmp_path / "devkit").rename(tmp_path / "car_devkit" / "devkit")
    found = indexes.cars(tmp_path)
    assert [file for file, _, _ in rows(found)] == [f"{file.split('/')[0]}/{file}" for file, _, _ in rows(plain)]
    assert [entry.number for entry in found.entries] == [entry.number for entry in plain.entries]
    assert all((tmp_path / entry.file).is_file() for entry in found.entries)


def test_what_the_index_files_say_of_each_other_must_agree(tmp_path):
    cub_layout(tmp_path, CLASSES)
    labels = tmp_path / "image_class_labels.txt"
    whole = labels.read_text()
    for damaged, message in [
        (whole.replace("1 1\n", "1 2\n"), "give each image the number of its folder; got class 2 for 001.Auk"),
        (whole.replace("1 1\n", "2 1\n"), "name each image number once; got '2' twice"),
        (whole.replace("1 1\n", "1 0\n"), "hold class numbers from 1; got '0'"),
        ("\ufeff" + whole, None),
        (whole.replace("\n", "\r\n"), None),
    ]:
        labels.write_bytes(damaged.encode())
        if message is None:
            assert len(indexes.cub(tmp_path).entries) == 6
        else:
            with pytest.raises(ValueError, match=f"image_class_labels.txt must {message}"):
                indexes.cub(tmp_path)


def test_a_class_of_sop_is_in_one_table_and_a_product_in_one_class(tmp_path):
    sop_layout(tmp_path, {1: 2, 2: 2}, {3: 2})
    train, test = tmp_path / "Ebay_train.txt", tmp_path / "Ebay_test.txt"
    whole = train.read_text()
    train.write_text(whole.replace("2 1 1 ", "2 2 1 "))
    with pytest.raises(ValueError, match=r"Ebay_train\.txt must say the same of a product everywhere; got 1 and 2 for"):
        indexes.sop(tmp_path)
    train.write_text(whole)
    test.write_text(test.read_text().replace(" 3 1 ", " 2 1 "))
    with pytest.raises(ValueError, match=r"Ebay_test\.txt must hold no class of Ebay_train\.txt; got class 2"):
        indexes.sop(tmp_path)

"""Image files: read right, refused with a word where they are damaged, binarized as described."""

import gzip
import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avi_theory.errors import DataError, InputError
from avi_theory.vae.data import Binarization, load_images
from avi_theory.vae.data.readers import RECORD, read_cifar, read_frey, read_idx, read_zip

ROOT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("AVI_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (12, 4, 5), dtype=np.uint8)


def idx(pixels):
    head = b"\x00\x00\x08\x03" + b"".join(n.to_bytes(4, "big") for n in pixels.shape)
    return head + pixels.tobytes()


def png(array):
    out = io.BytesIO()
    Image.fromarray(array).save(out, "png")
    return out.getvalue()


def test_digits_without_any_download():
    found = load_images()
    assert found.event == (8, 8)
    assert [len(found.split(s)) for s in ("train", "validation", "test")] == [1348, 150, 299]
    x = found.tensor("test")
    assert x.dtype == torch.float32 and set(x.unique().tolist()) == {0.0, 1.0}
    assert found.description["binarization"] == "threshold, 1 from 0.5 on"
    levels = load_images(binarize="levels:17").tensor("test")  # as they are stored, 0 to 16
    assert torch.equal((levels >= 8).float(), x) and len(levels.unique()) == 17
    grey = load_images(binarize="none").tensor("test")
    assert torch.equal((grey >= 0.5).float(), x)


def test_stochastic_binarization_is_that_of_its_seed():
    grey = np.full((20_000, 2), 51, np.uint8)
    first, again, other = (
        Binarization.named("stochastic", s).apply(grey, 1 / 255, 0) for s in (3, 3, 4)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert abs(first.mean() - 0.2) < 4 * np.sqrt(0.16 / first.size)
    assert "seed 3" in str(Binarization.named("stochastic", 3))


def test_idx_files(tmp_path, pixels):
    folder = tmp_path / "mnist"
    folder.mkdir()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels)))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(idx(pixels[:3]))
    found = load_images("mnist", folder=tmp_path, binarize="none", validation=0.25)
    assert np.array_equal(found.train, pixels[:9]) and np.array_equal(found.validation, pixels[9:])
    assert float(found.tensor("test").max()) <= 1.0
    assert np.array_equal(found.test, pixels[:3])


def damages(pixels):
    packed = gzip.compress(idx(pixels))
    return {
        "cut off inside the gzip": (packed[:-20], "damaged or cut off"),
        "a flipped byte": (packed[:60] + bytes([packed[60] ^ 1]) + packed[61:], "damaged"),
        "cut off": (idx(pixels)[:-1], "cut off"),
        "labels": (b"\x00\x00\x08\x01" + b"\x00" * 40, "not of labels"),
        "empty": (b"", "nothing"),
    }


@pytest.mark.parametrize(
    "damage", ["cut off inside the gzip", "a flipped byte", "cut off", "labels", "empty"]
)
def test_damaged_idx_files(tmp_path, pixels, damage):
    data, words = damages(pixels)[damage]
    (path := tmp_path / "x.gz").write_bytes(data)
    with pytest.raises(DataError, match=words):
        read_idx(path)


def test_checksums_beside_the_files_are_held(tmp_path, pixels):
    (path := tmp_path / "a.idx").write_bytes(idx(pixels))
    digest = hashlib.sha256(idx(pixels)).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  ./a.idx\n")
    read_idx(path)
    path.write_bytes(idx(255 - pixels))
    with pytest.raises(DataError, match="SHA-256"):
        read_idx(path)


def archive(path, members):
    with tarfile.open(path, "w:gz") as file:
        for name, data in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))


def test_cifar_binary_archive(tmp_path):
    rng = np.random.default_rng(1)
    names = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]
    parts = {n: rng.integers(0, 256, 2 * RECORD, dtype=np.uint8) for n in names}
    path = tmp_path / "cifar-10-binary.tar.gz"
    archive(path, {n: p.tobytes() for n, p in parts.items()})
    train, test = read_cifar(path)
    assert train.shape == (10, 3, 32, 32)
    assert np.array_equal(test[1].ravel(), parts["test_batch.bin"][RECORD + 1 :])
    archive(path, {n: p.tobytes()[:-1] for n, p in parts.items()})
    with pytest.raises(DataError, match="whole number of records"):
        read_cifar(path)
    archive(path, {})
    with pytest.raises(DataError, match="data_batch_1"):
        read_cifar(path)
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(DataError, match="damaged"):
        read_cifar(path)


def test_frey_faces(tmp_path):
    from scipy.io import savemat

    faces = np.random.default_rng(2).integers(0, 256, (7, 28, 20), dtype=np.uint8)
    np.save(tmp_path / "freyfaces.npy", faces)
    savemat(tmp_path / "frey_rawface.mat", {"ff": faces.reshape(7, -1).T})
    for name in ("freyfaces.npy", "frey_rawface.mat"):
        assert np.array_equal(read_frey(tmp_path / name), faces)
    (tmp_path / "frey_rawface.mat").write_bytes(b"no such thing")
    with pytest.raises(DataError, match="ff"):
        read_frey(tmp_path / "frey_rawface.mat")


def test_pictures_in_a_zip_and_in_a_folder(tmp_path, pixels):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for k, x in enumerate(pixels):
            file.writestr(f"a/{k:02d}.png", png(x))
    assert np.array_equal(read_zip(path, None), 255 - pixels)
    assert read_zip(path, 2).shape == (12, 2, 2)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="damaged"):
        read_zip(path, None)
    folder = tmp_path / "own"
    folder.mkdir()
    for k, x in enumerate(pixels):
        (folder / f"{k:02d}.png").write_bytes(png(x))
    found = load_images(str(folder), binarize="none")
    assert len(found.train) + len(found.validation) + len(found.test) == 12
    (folder / "99.png").write_bytes(png(pixels[0, :3]))
    with pytest.raises(DataError, match="2 shapes"):
        load_images(str(folder))
    (folder / "99.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"99\.png"):
        load_images(str(folder))


def test_a_users_arrays(tmp_path, pixels):
    path = tmp_path / "own.npz"
    np.savez(path, train=pixels, test=pixels[:2])
    found = load_images(str(path), binarize="none")
    assert np.array_equal(found.test, pixels[:2]) and found.unit == 1 / 255
    np.save(tmp_path / "own.npy", pixels / 255)
    assert load_images(str(tmp_path / "own.npy"), binarize="none").unit == 1.0
    good = path.read_bytes()
    middle = len(good) // 2
    flipped = good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1 :]
    for bad in (good[:200], flipped):
        path.write_bytes(bad)
        with pytest.raises(DataError, match="cannot be read as arrays"):
            load_images(str(path))
    np.savez(path, a=pixels, b=pixels)
    with pytest.raises(DataError, match="train"):
        load_images(str(path))
    np.savez(path, train=pixels, test=pixels[:, :2])
    with pytest.raises(DataError, match="alike"):
        load_images(str(path))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"name": "mnits"}, InputError, "mnist"),
        ({"binarize": "treshold"}, InputError, "threshold:0.5"),
        ({"binarize": "threshold:2"}, InputError, "between 0 and 1"),
        ({"binarize": "levels:1"}, InputError, "2 to 256"),
        ({"validation": 0.0}, InputError, "between 0 and 1"),
        ({"name": "mnist", "folder": "/nowhere"}, DataError, "--download"),
        ({"name": "freyfaces", "folder": "/nowhere"}, DataError, "AVI_DATA"),
    ],
)
def test_misuse(options, error, words):
    with pytest.raises(error, match=words):
        load_images(**options)


def test_a_download_that_fails_says_so(tmp_path, monkeypatch):
    import pooch

    def fail(*_, **__):
        raise ValueError("MD5 hash of downloaded file does not match\nmore")

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(DataError, match="could not be fetched: MD5"):
        load_images("mnist", folder=tmp_path, download=True)


SHAPES = {"mnist": (28, 28), "cifar10": (3, 32, 32), "freyfaces": (28, 20), "omniglot": (28, 28)}


@pytest.mark.parametrize("name", SHAPES)
def test_the_real_files(name):
    if not (REAL / name).is_dir():
        pytest.skip(f"{REAL / name} is not here; set AVI_DATA to the folder of image files")
    found = load_images(name, folder=REAL)
    assert found.event == SHAPES[name]
    x = found.tensor("train", slice(0, 50))
    assert set(x.unique().tolist()) <= {0.0, 1.0} and 0.02 < float(x.mean()) < 0.9

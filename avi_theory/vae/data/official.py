"""The official files, fetched by pooch and held to their checksums."""

from __future__ import annotations

from pathlib import Path

from avi_theory.errors import DataError

MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
OMNIGLOT = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
IMAGES = ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz")
SMALL = ("images_background_small1.zip", "images_background_small2.zip")

OFFICIAL: dict[str, tuple[tuple[str, str], ...]] = {
    "mnist": (
        (MNIST + IMAGES[0], "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        (MNIST + IMAGES[1], "md5:9fb629c4189551a2d022fa330f9573f3"),
    ),
    "fashion-mnist": (
        (FASHION + IMAGES[0], "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        (FASHION + IMAGES[1], "md5:bef4ecab320f06d8554ea6380940ec79"),
    ),
    "cifar10": (
        (
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "md5:c32a1d4ab5d03f1284b67883e8d87530",
        ),
    ),
    "omniglot": (
        (
            OMNIGLOT + SMALL[0],
            "sha256:f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
        ),
        (
            OMNIGLOT + SMALL[1],
            "sha256:3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
        ),
    ),
}
"""Address and checksum of each set's files.  Frey's faces have no official checksum."""


def fetch(name: str, folder: Path) -> None:
    """Fetch a set's files into the folder of its name, unless they are there.

    Raises:
        DataError: no such files, no connection, or a checksum that differs.
    """
    if name not in OFFICIAL:
        raise DataError(
            f"The set {name!r} cannot be fetched. Known: {', '.join(OFFICIAL)}; put other files "
            "into a folder and name it."
        )
    import pooch

    for address, checksum in OFFICIAL[name]:
        try:
            pooch.retrieve(
                address, checksum, address.rsplit("/", 1)[1], folder / name, progressbar=False
            )
        except (OSError, ValueError) as e:
            raise DataError(
                f"{address} could not be fetched: {str(e).splitlines()[0]} "
                f"Fetch it by hand into {folder / name}."
            ) from e

"""Sets that are known by name: some come with the package or are drawn by it, the others are official files.

Files are looked for in the folder `$MEZZOTINT_DATA`, then in the cache, and then downloaded; wherever they come
from, their SHA-256 must be the known one. A set is never replaced by another: `cifar10-4000` is a set of its own.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mezzotint.core import atomic
from mezzotint.core.errors import DataError, suggest
from mezzotint.data._published import cifar_members, load_cifar, load_idx
from mezzotint.data.cache import default_folder
from mezzotint.data.download import Progress, RemoteFile, download
from mezzotint.data.points import mixture
from mezzotint.data.raw import RawArrays
from mezzotint.data.shapes import shapes
from mezzotint.data.stacked import stack

Files = Mapping[str, Path]

_DIGITS = tuple("0123456789")
_FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class NamedSet:
    """One declared set.

    Attributes:
        name: what a person types.
        summary: what it holds, in a few words.
        licence: what may be done with it, shown before it is downloaded.
        reference: who made it.
        read: makes the arrays from the paths of `files`, by file name.
        files: what has to be there; none for sets that come with the package.
        folder: where its files lie below `$MEZZOTINT_DATA` and in the cache.
    """

    name: str
    summary: str
    licence: str
    reference: str
    read: Callable[[Files], RawArrays]
    files: tuple[RemoteFile, ...] = ()
    folder: str = ""


def names() -> list[str]:
    """The names of all named sets, sorted.

    Example:
        >>> "digits" in names()
        True
    """
    return sorted(_SETS)


def is_named(name: str) -> bool:
    """Whether `name` is a named set."""
    return name in _SETS


def describe(name: str) -> NamedSet:
    """The declaration of a named set.

    Raises:
        DataError: nothing has that name.
    """
    if name not in _SETS:
        raise DataError(f'There is no set of pictures called "{name}"; {suggest(name, _SETS)}')
    return _SETS[name]


def load_named(
    name: str,
    *,
    notify: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
) -> RawArrays:
    """The arrays of a named set, downloading its files if they are nowhere on this machine.

    Args:
        name: one of `names()`.
        notify: is told what is about to be downloaded, and its licence; the notes of the set hold the licence too.
        progress: called with (bytes so far, bytes in all) of the file that is arriving.
        cache_dir: replaces the usual folder for caches.

    Raises:
        DataError: no such set; or a file is damaged, or not to be had.

    Example:
        >>> load_named("digits").pictures.shape
        (1797, 8, 8, 1)
    """
    chosen = describe(name)
    source = f"{chosen.name}: {chosen.summary}; {chosen.reference}; licence: {chosen.licence}."
    files = {file.name: _locate(chosen, file, notify, progress, cache_dir) for file in chosen.files}
    arrays = chosen.read(files)
    # Known hashes stand for the content, which then need not be hashed again.
    known = " ".join([chosen.name, *(file.sha256 for file in chosen.files)])
    fingerprint = hashlib.sha256(known.encode()).hexdigest() if chosen.files else arrays.fingerprint
    return replace(arrays, notes=(source, *arrays.notes), fingerprint=fingerprint)


def _locate(
    chosen: NamedSet,
    file: RemoteFile,
    notify: Callable[[str], None] | None,
    progress: Progress | None,
    cache_dir: Path | None,
) -> Path:
    own = os.environ.get("MEZZOTINT_DATA")
    if own:
        for path in (Path(own) / chosen.folder / file.name, Path(own) / file.name):
            if path.is_file():
                if atomic.file_sha256(path) == file.sha256:
                    return path
                raise DataError(
                    f"{path} is not the {file.name} of {chosen.name} (its SHA-256 differs); replace it or remove it."
                )
    folder = (cache_dir or default_folder()) / "downloads" / chosen.folder
    if not file.urls:
        hint = Path(own) / chosen.folder if own else folder
        if (folder / file.name).is_file() and atomic.file_sha256(folder / file.name) == file.sha256:
            return folder / file.name
        raise DataError(
            f"{chosen.name} cannot be downloaded; put {file.name} into {hint}, "
            "or name the folder above that one in MEZZOTINT_DATA."
        )
    if notify is not None and not (folder / file.name).is_file():
        megabytes = file.size / 1e6
        notify(f"Downloading {file.name} ({megabytes:.1f} MB) to {folder}; licence of the set: {chosen.licence}.")
    return download(file, folder, progress=progress)


def _read_digits(files: Files) -> RawArrays:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    values = np.asarray(bunch.images, np.float64)[..., None]
    pictures = np.floor(values * (255 / 16) + 0.5).astype(np.uint8)
    fingerprint = hashlib.sha256(pictures.tobytes()).hexdigest()
    return RawArrays(pictures, np.asarray(bunch.target, np.int64), _DIGITS, fingerprint=fingerprint)


def _read_idx_set(files: Files, classes: tuple[str, ...]) -> RawArrays:
    parts = {
        part: (files[f"{word}-images-idx3-ubyte.gz"], files[f"{word}-labels-idx1-ubyte.gz"])
        for part, word in (("train", "train"), ("test", "t10k"))
    }
    return replace(load_idx(parts), classes=classes)


def _read_cifar10(files: Files) -> RawArrays:
    path = files["cifar-10-python.tar.gz"]
    batches = cifar_members(path)
    if batches is None:
        raise DataError(f"{path} holds no CIFAR-10 batches; remove it, so that it is downloaded again.")
    return load_cifar(batches, str(path))


def _read_cifar10_4000(files: Files) -> RawArrays:
    with zipfile.ZipFile(files["cifar10_lossless_train4000.zip"]) as archive:
        rows = []
        for k in range(4):
            with Image.open(io.BytesIO(archive.read(f"cifar10_batch_{k}.png"))) as sprite:
                rows.append(np.asarray(sprite.convert("RGB")).reshape(-1, 32, 32, 3))
        table = csv.DictReader(io.StringIO(archive.read("labels.csv").decode()))
        labels = np.array([int(line["label"]) for line in table], np.int64)
    note = "These are the first 4,000 training pictures of CIFAR-10; scores on them are not scores on CIFAR-10."
    return RawArrays(np.concatenate(rows), labels, _CIFAR, notes=(note,))


def _drawn(name: str, size: int, domain: str) -> NamedSet:
    return NamedSet(
        name,
        f"20,000 drawn shapes, {domain}, {size} x {size}, colour, 6 classes, every factor known",
        "same as this package",
        "drawn by this package",
        lambda files: shapes(size=size, domain=domain),
    )


def _points(name: str, summary: str, reference: str) -> NamedSet:
    return NamedSet(name, summary, "same as this package", reference, lambda files: mixture(name))


def _read_stacked(files: Files) -> RawArrays:
    return stack(_read_idx_set(files, _DIGITS))


_MNIST_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
_FASHION_MIRRORS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)


def _idx_files(mirrors: tuple[str, ...], *known: tuple[str, str, int]) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(name, tuple(m + name for m in mirrors), sha, size) for name, sha, size in known)


_MNIST_FILES = _idx_files(
    _MNIST_MIRRORS,
    (
        "train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        9912422,
    ),
    (
        "train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        28881,
    ),
    (
        "t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        1648877,
    ),
    (
        "t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        4542,
    ),
)

_SETS = {
    entry.name: entry
    for entry in (
        NamedSet(
            "digits",
            "1,797 handwritten digits, 8 x 8, grey, 10 classes, embedded in scikit-learn",
            "CC BY 4.0 (UCI Machine Learning Repository)",
            "Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, 1998",
            _read_digits,
        ),
        _points(
            "ring",
            "50,000 points of the plane, 8 Gaussians on a circle of radius 2, sigma 0.02",
            "after Metz et al., Unrolled Generative Adversarial Networks, 2017, arXiv:1611.02163",
        ),
        _points(
            "grid",
            "50,000 points of the plane, 25 Gaussians at spacing 2, sigma 0.05",
            "after Lin et al., PacGAN, 2018, arXiv:1712.04086",
        ),
        _drawn("shapes", 32, "flat"),
        _drawn("shapes-outline", 32, "outline"),
        _drawn("shapes-textured", 32, "textured"),
        _drawn("shapes64", 64, "flat"),
        _drawn("shapes64-outline", 64, "outline"),
        _drawn("shapes64-textured", 64, "textured"),
        NamedSet(
            "mnist",
            "70,000 handwritten digits, 28 x 28, grey, 10 classes",
            "CC BY-SA 3.0, as commonly stated",
            "LeCun, Cortes and Burges, The MNIST database of handwritten digits, 1998",
            partial(_read_idx_set, classes=_DIGITS),
            _MNIST_FILES,
            "mnist",
        ),
        NamedSet(
            "stacked-mnist",
            "154,000 pictures of three MNIST digits in red, green and blue, 28 x 28, 1,000 classes",
            "CC BY-SA 3.0, as commonly stated",
            "LeCun, Cortes and Burges, 1998; stacked as in Srivastava et al., VEEGAN, 2017, arXiv:1705.07761",
            _read_stacked,
            _MNIST_FILES,
            "mnist",
        ),
        NamedSet(
            "fashion-mnist",
            "70,000 pieces of clothing, 28 x 28, grey, 10 classes",
            "MIT, (c) 2017 Zalando SE",
            "Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017, arXiv:1708.07747",
            partial(_read_idx_set, classes=_FASHION),
            _idx_files(
                _FASHION_MIRRORS,
                (
                    "train-images-idx3-ubyte.gz",
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    26421880,
                ),
                (
                    "train-labels-idx1-ubyte.gz",
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    29515,
                ),
                (
                    "t10k-images-idx3-ubyte.gz",
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    4422102,
                ),
                (
                    "t10k-labels-idx1-ubyte.gz",
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                    5148,
                ),
            ),
            "fashion-mnist",
        ),
        NamedSet(
            "cifar10",
            "60,000 photographs, 32 x 32, colour, 10 classes",
            "none stated; research use, cite the report",
            "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
            _read_cifar10,
            (
                RemoteFile(
                    "cifar-10-python.tar.gz",
                    ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
                    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
                    170498071,
                ),
            ),
            "cifar10",
        ),
        NamedSet(
            "cifar10-4000",
            "the first 4,000 training photographs of CIFAR-10, 32 x 32, colour, 10 classes",
            "none stated; research use, cite the report",
            "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
            _read_cifar10_4000,
            (
                RemoteFile(
                    "cifar10_lossless_train4000.zip",
                    (),
                    "f14e3e264d3ee1086821164bf6e8c0a1390b8d99861966bc512de9597b5f4196",
                    9306401,
                ),
            ),
            "cifar-10-subset",
        ),
    )
}

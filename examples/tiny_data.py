"""Build tiny data sets of the embedded digits, to try all that reads files: `python examples/tiny_data.py DIR`.

DIR/{cat_dog,bike_motorbike,man_woman}/{bing,google}/{train,val,test}/CLASS/*.jpg is a tree in DUMB's layout: a "cat" is
a 1, 2 or 7, a "dog" a 0, 5 or 6; `bing` is handwritten, `google` printed. It is used as it is:

    dumb-bench check data GRID --data DIR

The other files have the formats of CIFAR-10, STL-10, Oxford-IIIT Pet, MNIST and USPS, for testing readers: their
checksums are not the published ones, so the built-in sources refuse CIFAR-10's, STL-10's and USPS's.
"""

import bz2
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from dumb_bench.catalogue import Catalogue
from dumb_bench.data.images import load_split
from dumb_bench.spec import Plugin

TASKS = {"cat_dog": ("cat", "dog"), "bike_motorbike": ("bike", "motorbike"), "man_woman": ("man", "woman")}
ORIGINS = {"bing": "optdigits", "google": "rendered"}
PER_CLASS = {"train": 60, "val": 20, "test": 20}
FROM = {"train": ("train",), "val": ("validation", "tuning"), "test": ("test",)}


def digits(source, splits):
    """Return the images of some splits of an embedded source, one array (N, 32, 32) uint8 a class."""
    found = [load_split(Catalogue(), "digits", Plugin(source), split) for split in splits]
    return [np.concatenate([part.images[part.labels == label, 0] for part in found]) for label in (0, 1)]


def write_tree(root, tasks=tuple(TASKS), per_class=None):
    """Write DUMB's layout: JPEG files of 32 x 32 pixels; no image is in two tasks or splits."""
    sizes = per_class or PER_CLASS
    for number, task in enumerate(tasks):
        for origin, source in ORIGINS.items():
            for part, size in sizes.items():
                for name, images in zip(TASKS[task], digits(source, FROM[part]), strict=True):
                    folder = root / task / origin / part / name
                    folder.mkdir(parents=True, exist_ok=True)
                    for index, image in enumerate(images[number * size : (number + 1) * size]):
                        Image.fromarray(image).convert("RGB").save(folder / f"{name}{index:04d}.jpg", quality=95)


def some(count, side, shift=0):
    """Return `count` digits, (count, side, side) uint8, the two classes in turn."""
    zero, one = digits("optdigits", ("train",))
    picked = [(zero, one)[index % 2][(index + shift) // 2] for index in range(count)]
    return np.stack([np.asarray(Image.fromarray(image).resize((side, side))) for image in picked])


def colour(images):
    """Return grey images (N, H, W) as (N, H, W, 3), the second channel negative: channels can be told apart."""
    return np.stack([images, 255 - images, images // 2], axis=-1)


def write_cifar10(root, classes=10, train=20, test=4):
    """Write `cifar-10-batches-py`: a training batch, a test batch, the names."""
    from dumb_bench.data.cifar10 import TASK

    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for file, each, shift in (("data_batch_1", train, 0), ("test_batch", test, 200)):
        rows = colour(some(classes * each, 32, shift)).transpose(0, 3, 1, 2).reshape(classes * each, -1)
        labels = [index % classes for index in range(classes * each)]
        (folder / file).write_bytes(pickle.dumps({"data": rows, "labels": labels}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(TASK.classes)}))


def write_stl10(root, train=20, test=4):
    """Write `stl10_binary`: images by column, labels from 1."""
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    for half, each, shift in (("train", train, 0), ("test", test, 200)):
        images = colour(some(10 * each, 96, shift)).transpose(0, 3, 2, 1)
        (folder / f"{half}_X.bin").write_bytes(images.tobytes())
        (folder / f"{half}_y.bin").write_bytes(bytes(index % 10 + 1 for index in range(10 * each)))
    (folder / "class_names.txt").write_text("airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n")


def write_pets(root, train=20, test=4):
    """Write `oxford-iiit-pet`: two lists and JPEG files, cats in upper case, of two breeds."""
    folder = root / "oxford-iiit-pet"
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True)
    for half, each, shift in (("trainval", train, 0), ("test", test, 200)):
        lines = []
        for index, image in enumerate(some(2 * each, 48, shift)):
            dog = index % 2
            name = f"{'beagle' if dog else 'Bengal'}_{shift + index}"
            Image.fromarray(image).convert("RGB").resize((60, 48)).save(folder / "images" / f"{name}.jpg", quality=95)
            lines.append(f"{name} {1 + dog} {1 + dog} 1\n")
        (folder / "annotations" / f"{half}.txt").write_text("".join(lines))


def idx(array):
    """Return an array of whole numbers as an IDX file: uint8, or int32 (most significant byte first)."""
    kind, data = (8, array) if array.dtype == np.uint8 else (12, array.astype(">i4"))
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + data.tobytes()


def write_mnist(root, train=20, test=4):
    """Write `MNIST/raw`, unpacked."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for half, each, shift in (("train", train, 0), ("t10k", test, 200)):
        (folder / f"{half}-images-idx3-ubyte").write_bytes(idx(some(10 * each, 28, shift)))
        labels = np.array([index % 10 for index in range(10 * each)], dtype=np.uint8)
        (folder / f"{half}-labels-idx1-ubyte").write_bytes(idx(labels))


def write_usps(root, train=20, test=4):
    """Write `usps.bz2` and `usps.t.bz2`: a line an image, labels from 1, pixels -1 to 1."""
    root.mkdir(parents=True, exist_ok=True)
    for file, each, shift in (("usps.bz2", train, 0), ("usps.t.bz2", test, 200)):
        lines = []
        for index, image in enumerate(some(10 * each, 16, shift)):
            values = (f"{place}:{value / 127.5 - 1:.6f}" for place, value in enumerate(image.ravel().tolist(), 1))
            lines.append(f"{index % 10 + 1} {' '.join(values)}\n")
        (root / file).write_bytes(bz2.compress("".join(lines).encode()))


if __name__ == "__main__":
    place = Path(sys.argv[1])
    for write in (write_tree, write_cifar10, write_stl10, write_pets, write_mnist, write_usps):
        write(place)

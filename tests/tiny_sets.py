"""Tiny files in the formats that torchvision reads, and their checksums in the place of the published ones."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.io
import torch
import torchvision.datasets as published
from PIL import Image
from tiny_data import SCRIPT

from dumb_bench.catalogue import Catalogue

TRAIN, TEST = 20, 4
"""Images of each class."""


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def cifar10(root: Path, patch: pytest.MonkeyPatch) -> None:
    SCRIPT.write_cifar10(root, train=40)
    folder = root / "cifar-10-batches-py"
    patch.setattr(published.CIFAR10, "train_list", [["data_batch_1", md5(folder / "data_batch_1")]])
    patch.setattr(published.CIFAR10, "test_list", [["test_batch", md5(folder / "test_batch")]])
    meta = {**published.CIFAR10.meta, "md5": md5(folder / "batches.meta")}
    patch.setattr(published.CIFAR10, "meta", meta)
    patch.setattr("dumb_bench.data.cifar10.PER_CLASS", {"train": 36, "validation": 2, "tuning": 2, "test": TEST})


def stl10(root: Path, patch: pytest.MonkeyPatch) -> None:
    SCRIPT.write_stl10(root)
    for half in ("train", "test"):
        files = [[f"{half}_{kind}.bin", md5(root / "stl10_binary" / f"{half}_{kind}.bin")] for kind in "Xy"]
        patch.setattr(published.STL10, f"{half}_list", files)


def pets(root: Path, patch: pytest.MonkeyPatch) -> None:
    del patch
    SCRIPT.write_pets(root)


def mnist(root: Path, patch: pytest.MonkeyPatch) -> None:
    del patch
    SCRIPT.write_mnist(root)


def usps(root: Path, patch: pytest.MonkeyPatch) -> None:
    SCRIPT.write_usps(root)
    lists = {half: ["", file, md5(root / file)] for half, file in (("train", "usps.bz2"), ("test", "usps.t.bz2"))}
    patch.setattr(published.USPS, "split_list", lists)


def svhn(root: Path, patch: pytest.MonkeyPatch) -> None:
    root.mkdir(parents=True, exist_ok=True)
    lists = {}
    for half, each, shift in (("train", TRAIN, 0), ("test", TEST, 200)):
        images = SCRIPT.colour(SCRIPT.some(10 * each, 32, shift)).transpose(1, 2, 3, 0)
        labels = np.array([[index % 10 or 10] for index in range(10 * each)], dtype=np.uint8)
        file = f"{half}_32x32.mat"
        scipy.io.savemat(root / file, {"X": images, "y": labels})
        lists[half] = ["", file, md5(root / file)]
    patch.setattr(published.SVHN, "split_list", lists)


def qmnist(root: Path, patch: pytest.MonkeyPatch) -> None:
    del patch
    folder = root / "QMNIST" / "raw"
    folder.mkdir(parents=True)
    for half, each, shift in (("train", TRAIN, 0), ("test", TEST, 200)):
        images = SCRIPT.some(10 * each, 28, shift)
        labels = np.zeros((10 * each, 8), dtype=np.int32)
        labels[:, 0] = np.arange(10 * each) % 10
        if half == "test":  # the first 10,000 are MNIST's and not read
            images = np.concatenate([np.zeros((10_000, 28, 28), np.uint8), images])
            labels = np.concatenate([np.zeros((10_000, 8), np.int32), labels])
        (folder / f"qmnist-{half}-images-idx3-ubyte").write_bytes(SCRIPT.idx(images))
        (folder / f"qmnist-{half}-labels-idx2-int").write_bytes(SCRIPT.idx(labels))


def emnist(root: Path, patch: pytest.MonkeyPatch) -> None:
    del patch
    folder = root / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    for half, each, shift in (("train", TRAIN, 0), ("test", TEST, 200)):
        images = np.ascontiguousarray(SCRIPT.some(10 * each, 28, shift).transpose(0, 2, 1))
        labels = np.arange(10 * each, dtype=np.uint8) % 10
        (folder / f"emnist-digits-{half}-images-idx3-ubyte").write_bytes(SCRIPT.idx(images))
        (folder / f"emnist-digits-{half}-labels-idx1-ubyte").write_bytes(SCRIPT.idx(labels))


def celeba(root: Path, patch: pytest.MonkeyPatch) -> None:
    """40 portraits in train, 20 in valid, 16 in test; every second shows a man."""
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    parts = [0] * 40 + [1] * 20 + [2] * 16
    names = [f"{number:06d}.jpg" for number in range(len(parts))]
    for name, image in zip(names, SCRIPT.some(len(names), 44), strict=True):
        Image.fromarray(image).convert("RGB").resize((36, 44)).save(folder / "img_align_celeba" / name)
    attributes = [f"{name} -1 {'1' if number % 2 else '-1'}" for number, name in enumerate(names)]
    texts = {
        "list_eval_partition.txt": [f"{name} {part}" for name, part in zip(names, parts, strict=True)],
        "identity_CelebA.txt": [f"{name} 1" for name in names],
        "list_bbox_celeba.txt": [str(len(names)), "image_id x_1", *(f"{name} 1" for name in names)],
        "list_landmarks_align_celeba.txt": [str(len(names)), "lefteye_x", *(f"{name} 1" for name in names)],
        "list_attr_celeba.txt": [str(len(names)), "Bald Male", *attributes],
    }
    for file, lines in texts.items():
        (folder / file).write_text("".join(f"{line}\n" for line in lines))
    patch.setattr(published.CelebA, "file_list", [("", md5(folder / file), file) for file in texts])
    patch.setattr("dumb_bench.data.celeba.PER_CLASS", {"train": 18, "validation": 4, "tuning": 5, "test": 8})


def imagenet(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Three WordNet ids, unpacked: 24 training and 4 validation images of each."""
    folder = root / "imagenet"
    numbers = ("n01440764", "n01443537", "n01484850")
    for part, each in (("train", 24), ("val", TEST)):
        for place, number in enumerate(numbers):
            (folder / part / number).mkdir(parents=True)
            for index, image in enumerate(SCRIPT.some(each, 40, 60 * place + 200 * (part == "val"))):
                Image.fromarray(image).convert("RGB").save(folder / part / number / f"{part}_{index}.JPEG")
    torch.save(({number: (number,) for number in numbers}, []), folder / "meta.bin")
    patch.setattr("dumb_bench.data.imagenet.HELD", 3)


class Tiny(NamedTuple):
    """A source's task at the size of its own files, and how many images of each class its splits have."""

    write: Callable[[Path, pytest.MonkeyPatch], None]
    task: str
    counts: dict[str, int]


TENTHS = {"train": 16, "validation": 2, "tuning": 2, "test": TEST}

TINY: dict[str, Tiny] = {
    "cifar10": Tiny(cifar10, "objects9", {"train": 36, "validation": 2, "tuning": 2, "test": TEST}),
    "stl10": Tiny(stl10, "objects9@96", TENTHS),
    "pets": Tiny(pets, "cat_dog@48", TENTHS),
    "mnist": Tiny(mnist, "ten_digits@28", TENTHS),
    "usps": Tiny(usps, "ten_digits@16", TENTHS),
    "svhn": Tiny(svhn, "ten_digits", TENTHS),
    "qmnist": Tiny(qmnist, "ten_digits@28", TENTHS),
    "emnist": Tiny(emnist, "ten_digits@28", TENTHS),
    "celeba": Tiny(celeba, "man_woman@36", {"train": 18, "validation": 4, "tuning": 5, "test": 8}),
    "imagenet": Tiny(
        imagenet,
        "imagenet[class_000,class_001,class_002]@40",
        {"train": 18, "validation": 3, "tuning": 3, "test": TEST},
    ),
}


def undeclared(name: str, patch: pytest.MonkeyPatch) -> None:
    """Let a source hold other numbers of images than it declares."""
    call: Any = Catalogue().get("sources", name).call
    plugin = call.__plugin__
    patch.setattr(call, "__plugin__", dataclasses.replace(plugin, info=plugin.info._replace(counts={})))

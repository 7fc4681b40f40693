"""Oxford-IIIT Pet: photographs of cats and dogs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dumb_bench.data.base import Listed, Split, source
from dumb_bench.data.pictures import read_listed
from dumb_bench.data.published import check_split, counts_by_class, native_labels, opened, share
from dumb_bench.data.tasks import Task

NATIVE = {"cat": 0, "dog": 1}
FILES = ("annotations/trainval.txt", "annotations/test.txt", "images")


def listed(task: Task, split: str, *, root: Path | None = None, download: bool = False) -> Listed:
    """Return the files of a split; see `pets`.

    Raises:
        InputError: an unknown split or class, or files that are missing.
    """
    from torchvision.datasets import OxfordIIITPet

    check_split("pets", split)
    native = native_labels("pets", task, NATIVE)
    place = root or Path("data")
    half = "test" if split == "test" else "trainval"
    data = opened(
        "pets", place / "oxford-iiit-pet", [(name, None) for name in FILES],
        lambda fetch: OxfordIIITPet(place, split=half, target_types="binary-category", download=fetch),
        download=download,
    )  # fmt: skip
    chosen, labels = share(np.array(data._bin_labels, dtype=np.int64), native, split, "pets")
    paths = tuple(data._images[number] for number in chosen)
    return Listed(place, paths, labels, tuple(f"{half}/{path.name}" for path in paths))


@source(
    "pets",
    tasks=("cat_dog",),
    origin="torchvision OxfordIIITPet: photographs; downloaded on first use",
    counts=counts_by_class({"cat": 1188, "dog": 2492}, {"cat": 1183, "dog": 2486}),
    listed=listed,
    published=True,
)
def pets(task: str, split: str, *, root: Path | None = None, download: bool = False, wanted: Task) -> Split:
    """Oxford-IIIT Pet: photographs of 12 breeds of cats and 25 of dogs; 800 MB, downloaded on first use.

    Returns images (N, 3, H, W) uint8, the centre cut out and resized (`data.pictures`): 1,188 cats and 2,492 dogs
    (`trainval`), of which a tenth is for validation and a tenth for tuning; 1,183 and 2,486 in test. An id is the
    publisher's half and file name. root: the folder that holds `oxford-iiit-pet`. The archives are compared with their
    published MD5 sums when they are fetched. Decoded images are kept below `root/.decoded` when files may be fetched.

    Raises:
        InputError: an unknown split or class, files that are missing, or an image that cannot be read.

    Source: O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, Cats and dogs (CVPR 2012); CC BY-SA 4.0.
    """
    del task
    files = listed(wanted, split, root=root, download=download)
    return read_listed(files, wanted, keep=files.root if download else None)

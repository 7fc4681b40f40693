"""`dumb-bench export`: the kept images of one row of `attacks` as PNG files with an index. No torch, no Ray."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dumb_bench.errors import DamagedFileError, InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from dumb_bench.store.kept import Levels
    from dumb_bench.store.store import Store

_LISTS = ("linf", "l2", "linf_delivered", "l2_delivered", "ssim")


def export(
    results: Annotated[str, typer.Argument(metavar="RESULTS", help="A result folder.")],
    attack_id: Annotated[str, typer.Option(metavar="ID", help="`attack_id` of a row of the table `attacks`.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder for the images.")],
    store: Annotated[str | None, typer.Option(help="The store [default: the one of the results].")] = None,
) -> None:
    """Write the kept images of an adversarial set as 8-bit PNG files, with an index of labels and norms (CSV)."""
    from dumb_bench.external_set import INDEX

    written, total = export_set(results, attack_id, out, store)
    some = "" if written == total else f" of the {total:,} in the set, the sample that was kept"
    typer.echo(f"{written:,} images{some}; index: {out / INDEX}")


def export_set(results: str, attack_id: str, out: Path, store: str | None = None) -> tuple[int, int]:
    """Write the kept images of a row of `attacks` into a new folder; return how many, and how many the set has.

    The files are the images rounded to 8 bits, which is what the delivery `uint8` hands to a victim; the columns of the
    index are those of the row, whatever its delivery.

    Raises:
        InputError: no such row, nothing kept, no store, or a folder that holds files.
        DamagedFileError: what was kept is damaged; it is in the store's quarantine now.
    """
    from dumb_bench.external_set import INDEX
    from dumb_bench.store.current import CurrentTables
    from dumb_bench.store.kept import to_png
    from dumb_bench.store.status import open_store, read_plan

    tables = CurrentTables(results)
    row = _row(tables.read("attacks"), attack_id, results)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: is not empty; name a new folder")
    images = _kept(open_store(results, read_plan(tables.folder), store), row)
    if images is None:
        raise InputError(
            f"{results}: no image is kept of attack id {attack_id} ({row['attack']}); a grid keeps them with "
            '[output] keep_adversarial = "sample" (no controls, no steps) or "all" when it makes a set'
        )
    lines = _index(row, tables.read("images"), len(images))
    out.mkdir(parents=True, exist_ok=True)
    for line, image in zip(lines, images, strict=True):
        (out / line["file"]).write_bytes(to_png(image[None]))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    (out / INDEX).write_text(text.getvalue(), encoding="utf-8")
    return len(lines), row["n_images"]


def _row(attacks: pa.Table, attack_id: str, results: str) -> dict[str, Any]:
    import pyarrow.compute as pc

    found: list[dict[str, Any]] = attacks.filter(pc.equal(attacks.column("attack_id"), attack_id)).to_pylist()
    if not found:
        raise InputError(
            f"{results}: no attack id {attack_id!r} here; the column `attack_id` of `attacks` has them all"
        )
    return found[0]


def _kept(store: Store, row: dict[str, Any]) -> Levels | None:
    """Return the images kept of a row, (n, C, H, W) uint8: all, or the sample; None where there is neither."""
    from dumb_bench.store.kept import get_sample, get_whole, levels_of, sample_name, whole_name

    whole = whole_name(row["set_id"], row["strength"], row["step"])
    sample = sample_name(row["set_id"], row["strength"])
    name = ""
    try:
        if store.has_artifact(name := whole):
            return levels_of(get_whole(store, whole).images)
        if row["step"] is None and store.has_artifact(name := sample):
            return get_sample(store, sample).adversarial
    except DamagedFileError as error:
        store.drop_artifact(name, str(error))
        raise
    return None


def _index(row: dict[str, Any], images: pa.Table, count: int) -> list[dict[str, Any]]:
    """Return the lines of the index, one an image, in the order of `images.index`."""
    import pyarrow.compute as pc

    from dumb_bench.external_set import cell

    mine = pc.and_(
        pc.equal(images.column("task"), row["task"]), pc.equal(images.column("image_source"), row["image_source"])
    )
    own = images.filter(mine).sort_by("index").slice(0, count).to_pylist()
    if len(own) != count:
        raise InputError(f"{row['image_source']}: {count:,} images are kept, but `images` has {len(own):,} of them")
    guesses = row["surrogate_predictions"] or [""] * count
    return [
        {
            "file": f"{image['index']:06d}.png",
            "index": image["index"],
            "image_id": cell(image["image_id"]),
            "label": image["label"],
            "clean_sha256": image["sha256"],
            "surrogate_prediction": guesses[place],
            **{key: f"{row[key][place]:.9g}" for key in _LISTS},
        }
        for place, image in enumerate(own)
    ]

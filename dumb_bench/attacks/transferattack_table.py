"""The attacks of TransferAttack: how each is called, and why some are refused. Read off the repository of 2026-02."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from dumb_bench.attacks.foreign_rows import LINF, Row, per_step, share

BUDGET = LINF._replace(default=16 / 255)

_PLAIN = Row(budget=BUDGET, norms=True, targets="maybe", gradient="shared", follows={"alpha": per_step("epoch")})
_RANDOM = _PLAIN._replace(stochastic=True)
_TRUTH_ONLY = _RANDOM._replace(targets="never")
_MIXED = _RANDOM._replace(batch_independent=False)
_SAMPLES = _TRUTH_ONLY._replace(uses="samples", batch_independent=False)
_LONG = {"alpha": per_step("epoch", 37.5)}
"""2/255 of 16/255, 300 times."""

ROWS: Mapping[str, Row] = {
    "adaea": _SAMPLES,
    "adamsi_fgm": _PLAIN._replace(targets="never", gradient="exact"),
    "admix": _MIXED,
    "aifgtm": _PLAIN,
    "anda": _PLAIN._replace(norms=False, single=True, targets="never"),
    "bsr": _RANDOM,
    "cfm": _MIXED._replace(follows=_LONG, min_channels=3),
    "cwa": _SAMPLES._replace(follows={"alpha": per_step("epoch", 2.0), "r_size": share(1 / 15)}),
    "decowa": _MIXED._replace(gradient="exact"),
    "dem": _RANDOM,
    "dim": _RANDOM,
    "dta": _PLAIN._replace(batch_independent=False, gradient="exact"),
    "dual_mifgsm": _RANDOM,
    "emifgsm": _PLAIN,
    "ens": _PLAIN._replace(uses="samples"),
    "ens_mifgsm": _RANDOM,
    "everywhere": _MIXED._replace(
        norms=False, targets="only", follows={"lr": per_step("epoch", 30.0)}, hidden=frozenset({"img_size"}),
        min_channels=3,
    ),
    "faug": _MIXED._replace(follows={"alpha": per_step("epoch", 1.25)}, hidden=frozenset({"layer_names"})),
    "fgsm": _PLAIN._replace(follows={}),
    "fgsra": _TRUTH_ONLY,
    "foolmix": _TRUTH_ONLY._replace(
        batch_independent=False, min_classes=6, gradient="exact", defaults={"use_amp": False},
        hidden=frozenset({"print_timing", "use_cache"}),
    ),
    "ftm": _MIXED._replace(targets="only", follows=_LONG, min_channels=3),
    "fuzziness_tuned": _PLAIN,
    "gaa": _RANDOM._replace(follows={"alpha": per_step("epoch"), "rho": share(0.1)}),
    "gifgsm": _PLAIN,
    "gnp": _PLAIN,
    "gra": _RANDOM,
    "iefgsm": _PLAIN,
    "ifgsm": _PLAIN,
    "ifgssm": _PLAIN,
    "ir": _TRUTH_ONLY._replace(single=True, side=224),
    "l2t": _MIXED._replace(side=224, min_channels=3, gradient="exact"),
    "logit": _RANDOM._replace(follows=_LONG, min_channels=3),
    "maskblock": _PLAIN._replace(
        follows={"alpha": per_step("epoch", 1.25)}, defaults={"patch_size": None},
        types={"patch_size": Annotated[int, Field(ge=1)] | None},
    ),
    "mef": _RANDOM._replace(norms=False, follows={"alpha": per_step("epoch", 2.0)}),
    "mifgsm": _PLAIN,
    "mig": _PLAIN._replace(norms=False),
    "mumodig": _RANDOM._replace(needs="kornia"),
    "nifgsm": _PLAIN,
    "ops": _RANDOM._replace(follows={}, gradient="exact"),
    "pcifgsm": _PLAIN,
    "pgn": _RANDOM,
    "pifgsm": _PLAIN._replace(min_channels=3),
    "potrip": _RANDOM._replace(norms=False, targets="only", follows=_LONG, classes=1000, side=224, min_channels=3),
    "rap": _RANDOM._replace(
        norms=False,
        follows={"alpha": per_step("epoch", 50.0), "epsilon_n": share(1.0), "alpha_n": share(0.125)},
    ),
    "rgmifgsm": _RANDOM,
    "sia": _RANDOM,
    "sim": _PLAIN,
    "smer": _SAMPLES,
    "smifgrm": _TRUTH_ONLY,
    "ssm": _RANDOM._replace(side=224, min_channels=3),
    "ssm_h": _RANDOM._replace(side=224, min_channels=3),
    "svre": _SAMPLES._replace(batch_independent=True),
    "taig": _PLAIN._replace(targets="never", norms=False),
    "tim": _PLAIN._replace(min_channels=3),
    "usmm": _MIXED,
    "vaifgsm": _TRUTH_ONLY._replace(follows={"alpha": per_step("epoch", 2.23125)}, classes=1000, norms=False),
    "vmifgsm": _RANDOM,
    "vnifgsm": _RANDOM,
}  # fmt: skip

_CHECKPOINT = "it needs weights that the package downloads by hand, trained for ImageNet"
_GENERATOR = f"it makes perturbations with a generator network: {_CHECKPOINT}"
_LAYERS = "it reads or changes named layers of torchvision's or timm's networks"
_TRANSFORMER = "it changes the layers of particular vision transformers"
_OWN = "it brings its own surrogate and attacks that: {}"

REFUSED: Mapping[str, str] = {
    "aa": f"{_LAYERS}, and needs images of the target class",
    "ada": _GENERATOR,
    "ags": _OWN.format(_CHECKPOINT),
    "aim": _GENERATOR,
    "aitl": _CHECKPOINT,
    "ana": _LAYERS,
    "ata": _LAYERS,
    "ata_vit": _TRANSFORMER,
    "att": _TRANSFORMER,
    "atta": _CHECKPOINT,
    "awt": "it trains the surrogate's weights",
    "bfa": _LAYERS,
    "bpa": _LAYERS,
    "cdtp": _GENERATOR,
    "danaa": _LAYERS,
    "dhf": _LAYERS,
    "diffattack": "it needs a diffusion model",
    "dra": _OWN.format(_CHECKPOINT),
    "dsm": _OWN.format(_CHECKPOINT),
    "dsva": _GENERATOR,
    "fap": "it needs a folder of background images",
    "fdap": _TRANSFORMER,
    "fft": _LAYERS,
    "fia": _LAYERS,
    "fmaa": _LAYERS,
    "fpr": _TRANSFORMER,
    "ge_advgan": _GENERATOR,
    "ghost": f"{_LAYERS}: use the modifier of that name",
    "iaa": _LAYERS,
    "idaa": "it calls kornia.core.tensor, which kornia no longer has",
    "ila": _LAYERS,
    "ilpd": _LAYERS,
    "lgv": _OWN.format(_CHECKPOINT),
    "linbp": f"{_LAYERS}: use the modifier of that name",
    "ll2s": _TRANSFORMER,
    "llta": _LAYERS,
    "logit_margin": _LAYERS,
    "lpm": "it scores masks with ImageNet networks that it downloads",
    "ltp": _GENERATOR,
    "m3d": _GENERATOR,
    "ma": _OWN.format(_CHECKPOINT),
    "mba": _OWN.format(_CHECKPOINT),
    "metassa": _OWN.format("several networks of timm"),
    "mfaa": _LAYERS,
    "mfi": "it reads an attribute that the package never sets",
    "mta": _OWN.format(_CHECKPOINT),
    "mup": "it prunes the surrogate's weights",
    "naa": _LAYERS,
    "odi": "it renders objects with pytorch3d",
    "p2fa": _LAYERS,
    "pam": "it trains on a folder of images of its own",
    "pna_patchout": _TRANSFORMER,
    "qaa": _OWN.format(_CHECKPOINT),
    "rfcoa": _CHECKPOINT,
    "rpa": _LAYERS,
    "sapr": _OWN.format("a vision transformer of timm"),
    "sasd_ws": _OWN.format(_CHECKPOINT),
    "setr": _OWN.format(_CHECKPOINT),
    "sgm": f"{_LAYERS}: use the modifier of that name",
    "ssm_p": "the package lists it and does not hold it",
    "stm": _CHECKPOINT,
    "su": _LAYERS,
    "tap": _LAYERS,
    "tgr": _TRANSFORMER,
    "trap": _LAYERS,
    "ttp": _GENERATOR,
    "vdc": _TRANSFORMER,
    "yaila": _LAYERS,
}

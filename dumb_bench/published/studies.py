"""The two studies: who published, and what is known to be wrong in the published numbers. They are not corrected."""

from __future__ import annotations

from dataclasses import dataclass

NUMERICS = "published"
"""The value of the column `numerics` that marks rows as imported."""


@dataclass(frozen=True)
class Study:
    """A publication. library: the column `attack_library`; delivery: how the images reached the victims."""

    name: str
    title: str
    citation: str
    library: str
    delivery: str
    per_class: int


DUMB = Study(
    name="dumb_2023_published",
    title="DUMB (2023) as published",
    citation=(
        "M. Alecci, M. Conti, F. Marchiori, L. Martinelli, L. Pajola: Your attack can DUMB: formalizing the attacker "
        "scenarios for adversarial transferability, RAID 2023"
    ),
    library="published: Alecci et al., RAID 2023",
    delivery="jpeg75",
    per_class=150,
)
BNN = Study(
    name="gubri_2022_published",
    title="Surrogates from the posterior (2022) as published",
    citation=(
        "M. Gubri, M. Cordy, M. Papadakis, Y. Le Traon: Efficient and transferable adversarial examples from Bayesian "
        "neural networks, UAI 2022, arXiv 2011.05074"
    ),
    library="published: Gubri et al., UAI 2022",
    delivery="float32",
    per_class=1000,
)

STEPS_NOT_TIED = frozenset({"BIM", "TIFGSM", "RFGSM"})
NOISES = frozenset({"SaltPepper", "GaussianNoise"})
_ARTEFACT = "known artefact, "


def dumb_artefacts(attacks: frozenset[str], *, sources_differ: bool, balances_differ: bool, tuned: bool) -> list[str]:
    """Return what is wrong in the published numbers of these attacks, a sentence each.

    sources_differ, balances_differ: some surrogate and victim differ in it. tuned: some attack's strength was chosen.
    """
    gradient = sorted(attacks & {"BIM", "FGSM", "PGD", "RFGSM", "TIFGSM", "DeepFool"})
    capped, noises = sorted(attacks & STEPS_NOT_TIED), sorted(attacks & NOISES)
    found = [
        (
            bool(gradient),
            "gradients were taken on images of 300 x 300 without normalisation, of networks trained on normalised ones "
            "of 224 x 224, so that success is low even on the surrogate itself.",
        ),
        (
            bool(capped),
            f"ten steps of 2/255 cap {', '.join(capped)} near 0.08 whatever strength is named.",
        ),
        (
            sources_differ,
            "where the sources differ (C5 to C8) the clean errors were looked up on other images than those attacked: "
            "every image counts, and clean errors count as success.",
        ),
        (True, "adversarial images were stored as JPEG of quality 75 before they were scored, a hidden defence."),
        (tuned, "the SSIM of the choice of strengths was measured on normalised images and averaged by batch."),
        (tuned, "strengths were chosen on the very images that are scored."),
        (
            balances_differ,
            "balance also changes the size of the training set (7,000 to 4,375 images), always with the first class as "
            "the minority and with the first files.",
        ),
        (
            bool(noises),
            f"the noise of {', '.join(noises)} is not what its name says: salt is 1 of 255, Gaussian noise has a mean "
            "equal to its variance, salt and pepper fall on a grey-scale image.",
        ),
        (True, "there is one seed, so that C1 is always the very same network (white box)."),
        (True, "tasks have two classes, so that a constant answer already gives a success of one half."),
    ]
    return [_ARTEFACT + text for applies, text in found if applies]


def bnn_artefacts(padded: list[str], *, single: bool, chain: bool) -> list[str]:
    """Return what is wrong in the published numbers, a sentence each.

    padded: how many images are black, a text each victim. single, chain: networks trained apart, and chains, are there.
    """
    found = [
        (
            bool(padded),
            f"the images that the victim gets wrong when clean were replaced by black ones and count "
            f"({'; '.join(padded)}), nearly always as success; rates are shown as published, over all images.",
        ),
        (
            single and chain,
            "single networks and ensembles were trained by Adam, chains by SGD, so that a gain of the posterior is "
            "also one of the recipe.",
        ),
        (
            single,
            "the published code of the deep-ensemble equivalent (T-DEE) returns nothing; here it is computed from the "
            "published curve.",
        ),
    ]
    return [_ARTEFACT + text for applies, text in found if applies]

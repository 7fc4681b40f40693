"""The attacks of ART that the family `art.<Name>` refuses, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping

_DETECTOR = "it attacks object detectors, not classifiers"
_SPEECH = "it attacks speech recognisers, not images"
_VIDEO = "it attacks videos, not images"
_PATCH = "it makes a patch for all images, not an adversarial image of each"
_TENSORFLOW = "it runs on TensorFlow networks only"
_FEATURES = "it imitates the features of guide images, which a grid cannot give"
_STICKER = "it makes stickers: it needs a mask and its own image sizes"

REFUSED: Mapping[str, str] = {
    "AdversarialPatch": _PATCH,
    "AdversarialPatchNumpy": _PATCH,
    "AdversarialPatchPyTorch": _PATCH,
    "AdversarialPatchTensorFlowV2": _TENSORFLOW,
    "AdversarialTexturePyTorch": "it attacks object trackers, not classifiers",
    "CarliniWagnerASR": _SPEECH,
    "DPatch": _DETECTOR,
    "DecisionTreeAttack": "it attacks scikit-learn's decision trees only",
    "FeatureAdversariesNumpy": _FEATURES,
    "FeatureAdversariesPyTorch": _FEATURES,
    "FeatureAdversariesTensorFlowV2": _TENSORFLOW,
    "FrameSaliencyAttack": _VIDEO,
    "GRAPHITEBlackbox": _STICKER,
    "GRAPHITEWhiteboxPyTorch": _STICKER,
    "GeoDA": "it calls numpy.mat, which NumPy 2 no longer has",
    "HighConfidenceLowUncertainty": "it attacks Gaussian processes of GPy only",
    "ImperceptibleASR": _SPEECH,
    "ImperceptibleASRPyTorch": _SPEECH,
    "LaserAttack": "it needs a generator of laser beams, an object that a grid cannot give",
    "LowProFool": "it attacks tables, not images: it weights features by their importance",
    "MalwareGDTensorFlow": "it attacks malware detectors on TensorFlow",
    "OverTheAirFlickeringPyTorch": _VIDEO,
    "OverloadPyTorch": _DETECTOR,
    "ProjectedGradientDescentTensorFlowV2": _TENSORFLOW,
    "RobustDPatch": _DETECTOR,
    "SNAL": _DETECTOR,
    "ThresholdAttack": "it evolves every pixel by differential evolution: over ten minutes for a dozen 32 px images",
    "Wasserstein": "its Sinkhorn step takes exp(3000 * gradient), which overflows on ordinary gradients",
}

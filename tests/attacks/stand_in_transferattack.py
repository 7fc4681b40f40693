"""A package with the interface of TransferAttack, file by file: an `attack_zoo` and classes that load their model."""

from __future__ import annotations

PACKAGE = {
    "__init__.py": """
import importlib

attack_zoo = {
    "fgsm": (".methods", "FGSM"),
    "mifgsm": (".methods", "Wrong"),
    "mifgsm": (".methods", "MIFGSM"),
    "vmifgsm": (".methods", "Noisy"),
    "svre": (".methods", "Members"),
    "ens": (".methods", "Average"),
    "dem": (".methods", "Rates"),
    "maskblock": (".methods", "Blocks"),
    "potrip": (".methods", "Fixed"),
    "cfm": (".methods", "Hooking"),
    "ftm": (".methods", "Aimed"),
    "gra": (".needy", "Needy"),
    "su": (".methods", "FGSM"),
    "brandnew": (".methods", "FGSM"),
}

def load_attack_class(name):
    module, kind = attack_zoo[name]
    return getattr(importlib.import_module(module, __package__), kind)
""",
    "needy.py": "import a_package_that_nobody_has\n",
    "utils.py": """
import torch

img_height, img_width = 224, 224

class EnsembleModel(torch.nn.Module):
    def __init__(self, models):
        super().__init__()
        self.models = models
        self.device = next(models[0].parameters()).device

    def forward(self, x):
        return torch.stack([model(x) for model in self.models]).mean(0)
""",
    "methods.py": '''
import torch
from .utils import *

class Attack:
    def __init__(self, attack, model_name, epsilon, targeted, random_start, norm, loss, device=None):
        assert norm in ("linfty", "l2") and loss == "crossentropy"
        self.model = self.load_model(model_name)
        self.epsilon, self.targeted, self.norm = epsilon, targeted, norm
        ensemble = isinstance(self.model, EnsembleModel)
        self.device = self.model.device if ensemble else next(self.model.parameters()).device

    def load_model(self, model_name):
        raise RuntimeError("downloads weights")

    def gradient(self, data, delta, label):
        delta = delta.detach().requires_grad_()
        loss = torch.nn.functional.cross_entropy(self.model(data + delta), label)
        return torch.autograd.grad(-loss if self.targeted else loss, delta)[0]

    def moved(self, delta, data, grad, alpha):
        if self.norm == "l2":
            delta = delta + alpha * grad / grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            delta = delta.flatten(1).renorm(2, 0, self.epsilon).view_as(delta)
        else:
            delta = (delta + alpha * grad.sign()).clamp(-self.epsilon, self.epsilon)
        return torch.min(torch.max(delta, -data), 1 - data)

    def forward(self, data, label, **kwargs):
        if self.targeted:
            assert len(label) == 2
            label = label[1]
        delta, momentum = torch.zeros_like(data).cuda(), 0
        for _ in range(self.epoch):
            grad = self.gradient(data, delta, label)
            momentum = momentum * self.decay + grad / grad.abs().mean(dim=(1, 2, 3), keepdim=True)
            delta = self.moved(delta, data, momentum, self.alpha)
        return delta.detach()

    def __call__(self, *data, **kwargs):
        self.model.eval()
        return self.forward(*data, **kwargs)

class FGSM(Attack):
    """
    FGSM Attack
    'Explaining and Harnessing Adversarial Examples (ICLR 2015)'(https://arxiv.org/abs/1412.6572)
    """
    def __init__(self, model_name, epsilon=16/255, targeted=False, random_start=False, norm="linfty",
                 loss="crossentropy", device=None, attack="FGSM", **kwargs):
        super().__init__(attack, model_name, epsilon, targeted, random_start, norm, loss, device)
        self.alpha, self.epoch, self.decay = epsilon, 1, 0

class MIFGSM(Attack):
    def __init__(self, model_name, epsilon=16/255, alpha=1.6/255, epoch=10, decay=1, targeted=False,
                 random_start=False, norm="linfty", loss="crossentropy", device=None, attack="MI", **kwargs):
        super().__init__(attack, model_name, epsilon, targeted, random_start, norm, loss, device)
        self.alpha, self.epoch, self.decay = alpha, epoch, decay
        print("=> noise on the terminal")

class Noisy(MIFGSM):
    def forward(self, data, label, **kwargs):
        return (torch.rand(data.shape, device="cuda") - 0.5) * self.epsilon

class Members(MIFGSM):
    def forward(self, data, label, **kwargs):
        assert isinstance(self.model, EnsembleModel)
        shift = sum(model(data).mean() for model in self.model.models) * 0
        return torch.full_like(data, self.epsilon * len(self.model.models) / 4) + shift.float()

class Average(MIFGSM):
    pass

class Rates(MIFGSM):
    def __init__(self, model_name, resize_rates=[1.14, 1.27], **kwargs):
        super().__init__(model_name, **kwargs)
        if not isinstance(resize_rates, list):
            raise Exception("Error! The resize rates should be a list.")

class Blocks(MIFGSM):
    def __init__(self, model_name, patch_size=56, epoch=10, alpha=2/255, **kwargs):
        super().__init__(model_name, epoch=epoch, alpha=alpha, **kwargs)
        self.patch_size = patch_size

    def forward(self, data, label, **kwargs):
        return torch.full_like(data, -self.patch_size / 255)

class Fixed(MIFGSM):
    pass

class Hooking(MIFGSM):
    def forward(self, data, label, **kwargs):
        self.model.surrogate.members[0].features[0].register_forward_hook(lambda module, given, out: out * 0)
        return torch.full_like(data, -img_height / 255)

class Aimed(MIFGSM):
    pass

class Wrong(MIFGSM):
    def forward(self, data, label, **kwargs):
        raise AssertionError("the first of two entries")
''',
}

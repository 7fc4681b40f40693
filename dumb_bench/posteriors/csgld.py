"""cSGLD: R. Zhang, C. Li, J. Zhang, C. Chen, A. G. Wilson, Cyclical Stochastic Gradient MCMC for Bayesian Deep
Learning, ICLR 2020; as surrogates: M. Gubri, M. Cordy, M. Papadakis, Y. Le Traon, K. Sen, UAI 2022.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from dumb_bench.posteriors.base import StepHook, TrainingProblem, WeightSamples, posterior
from dumb_bench.posteriors.chains import (
    Count,
    Momentum,
    Rate,
    add_noise,
    count_of_cycles,
    cycle_length,
    epochs_of_cycles,
    langevin_noise_scale,
    run_cycles,
    samples_of_a_cycle,
)


@posterior(
    "csgld",
    paper="Zhang et al., ICLR 2020",
    count=count_of_cycles,
    epochs=epochs_of_cycles,
    length="cycles",
    part_samples=samples_of_a_cycle,
)
def csgld(
    problem: TrainingProblem,
    *,
    cycles: Count = 5,
    samples_per_cycle: Count = 3,
    cycle_epochs: Count | None = None,
    max_lr: Rate | None = None,
    noise_epochs: Annotated[int, Field(ge=0, le=100_000)] = 3,
    temperature: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 1.0,
    reference: bool = False,
    momentum: Momentum = 0.9,
) -> WeightSamples:
    """One chain that explores and samples in turns: the cosine cycles of `snapshot` plus Langevin noise.

    In a cycle the learning rate falls from max_lr to 0 (equation 1); SGD explores, then, in the last epochs, each
    gradient gets the noise of `langevin_noise_scale` (equation 2), so that weights follow the posterior at the stated
    temperature. Samples are the weights at the ends of the last samples_per_cycle epochs of each cycle.

    Args:
        problem: what is trained, by plain SGD whatever the recipe's optimiser is.
        cycles: number of cycles.
        samples_per_cycle: samples of a cycle, at most its epochs.
        cycle_epochs: epochs of a cycle, of which the chain costs `cycles` times as many; None: the recipe's (and at
            least samples_per_cycle), so that a chain costs at most what `cycles` single networks cost.
        max_lr: None: the recipe's, ten times that if it is Adam's.
        noise_epochs: last epochs of a cycle that have noise; all of them where the cycle is shorter.
        temperature: factor of the noise's variance; 1 is the posterior, 0 gives `snapshot` bit for bit.
        reference: the noise of Gubri et al.: divided by the batches B of an epoch in place of sqrt(N), which is a
            temperature of N / B^2 (.05 to .08 in their settings, above 1 where N exceeds B^2, as on small data).
        momentum: of SGD, 0..1; the noise's scale takes it into account.
    """
    length = cycle_length(problem.recipe, cycle_epochs, samples_per_cycle)
    first = (length - noise_epochs) * problem.steps_per_epoch
    images = problem.steps_per_epoch**2 if reference else problem.train_images

    def noise_of(cycle: int) -> StepHook:
        generator = torch.Generator().manual_seed(problem.seed("langevin", cycle))

        def noise(step: int, lr: float, network: nn.Module) -> None:
            if step >= first:
                gradients = (weight.grad for weight in network.parameters() if weight.grad is not None)
                add_noise(gradients, langevin_noise_scale(lr, images, temperature, momentum), generator)

        return noise

    return run_cycles(
        problem,
        cycles=cycles,
        samples_per_cycle=samples_per_cycle,
        cycle_epochs=cycle_epochs,
        max_lr=max_lr,
        momentum=momentum,
        noise_of=noise_of if temperature > 0 and noise_epochs > 0 else None,
    )

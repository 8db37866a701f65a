"""Small methods that exercise every corner of the contract: shared pre-training, adaptation, lesion classification."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cerebench.api import (
    FitRun,
    Method,
    MethodInfo,
    MethodSettings,
    PredictContext,
    Prediction,
    Stage,
    Volumes,
)
from cerebench.training import train

PRETRAIN = Stage(name="pretrain", data="unlabelled", shared_as="toy-encoder", keeps=("encoder",), settings=("width",))


def images_of(volumes: Volumes) -> list[Tensor]:
    return [torch.from_numpy(volume.image.copy()) for volume in volumes]


class _Pretrained(Method):
    """A 3D encoder learnt by denoising; both methods below start from the same one."""

    class Settings(MethodSettings):
        width: int = 4
        steps: int = 30

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        self.encoder = nn.Sequential(nn.Conv3d(1, self.settings.width, 3, padding=1), nn.Tanh())

    def pretrain(self, train_set: Volumes, validation: Volumes, run: FitRun) -> None:
        decoder = nn.Conv3d(self.settings.width, 1, 1)

        def denoising(batch: Tensor) -> Tensor:
            return F.mse_loss(decoder(self.encoder(batch + 0.1 * torch.randn_like(batch))), batch)

        modules = {"encoder": self.encoder, "decoder": decoder}
        train(run, modules, images_of(train_set), denoising, steps=30, batch_size=2, learning_rate=1e-2)


class ToyFeatureDistance(_Pretrained):
    """Distance of encoder features to their mean over healthy brain voxels."""

    info = MethodInfo(
        name="toy-feature-distance",
        summary="Distance of pre-trained features to healthy ones.",
        stages=(PRETRAIN, Stage(name="fit")),
    )

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        super().build(modalities, shape, spacing)
        self.mean = torch.zeros(self.settings.width)
        self.spread = torch.ones(self.settings.width)

    def fit(self, train_set: Volumes, validation: Volumes, run: FitRun) -> None:
        self.encoder.to(run.device)
        features = []
        with torch.no_grad():
            for volume in train_set:
                image = torch.from_numpy(volume.image.copy()).to(run.device)
                features.append(self.encoder(image[None])[0][:, torch.from_numpy(volume.brain.copy())])
        table = torch.cat(features, dim=1)
        self.mean, self.spread = table.mean(1), table.std(1) + 1e-6

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        shape = (1, -1, 1, 1, 1)
        normed = (self.encoder(images) - self.mean.reshape(shape)) / self.spread.reshape(shape)
        return Prediction(maps=normed.square().mean(1) * context.brain)


class ToyFeatureDecoder(_Pretrained):
    """Error of an image decoded from the features of a smoothed copy, the encoder kept as pre-trained."""

    info = MethodInfo(
        name="toy-feature-decoder",
        summary="Decoding error from pre-trained features.",
        stages=(PRETRAIN, Stage(name="fit", keeps=("encoder", "decoder"))),
    )

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        super().build(modalities, shape, spacing)
        self.decoder = nn.Conv3d(self.settings.width, 1, 1)

    def _decoded(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(F.avg_pool3d(images, 5, stride=1, padding=2)))

    def fit(self, train_set: Volumes, validation: Volumes, run: FitRun) -> None:
        self.encoder.requires_grad_(False).to(run.device)
        train(
            run,
            self.decoder,
            images_of(train_set),
            lambda batch: F.mse_loss(self._decoded(batch), batch),
            steps=self.settings.steps,
            batch_size=2,
            learning_rate=1e-2,
        )

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=(images - self._decoded(images)).abs()[:, 0] * context.brain)


class _Intensity(nn.Module):
    """A normal distribution of brain intensities, learnt by maximum likelihood."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(()))
        self.log_spread = nn.Parameter(torch.zeros(()))

    def forward(self, values: Tensor) -> Tensor:
        return (values - self.mean) * torch.exp(-self.log_spread)


class ToyAdapted(Method):
    """Healthy intensities on slices, re-learnt on the tested cohort's own training split."""

    info = MethodInfo(
        name="toy-adapted",
        summary="Deviation from healthy intensity, adapted to the target cohort.",
        unit="slice",
        stages=(Stage(name="fit"), Stage(name="adapt", data="target")),
    )

    class Settings(MethodSettings):
        steps: int = 150

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        self.normal = _Intensity()

    def _learn(self, volumes: Volumes, run: FitRun) -> None:
        def likelihood(batch: Tensor) -> Tensor:
            return (0.5 * self.normal(batch[batch != 0]).square()).mean() + self.normal.log_spread

        rate = 3e-2
        train(
            run, self.normal, volumes.slices(), likelihood, steps=self.settings.steps, batch_size=8, learning_rate=rate
        )

    def fit(self, train_set: Volumes, validation: Volumes, run: FitRun) -> None:
        self._learn(train_set, run)

    def adapt(self, train_set: Volumes, validation: Volumes, run: FitRun) -> None:
        self._learn(train_set, run)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        return Prediction(maps=self.normal(images).abs().mean(1) * context.brain)


class ToyLesionClassifier(Method):
    """Logistic regression on the lesion's mean, spread and size and on covariates; a missing covariate counts as 0."""

    info = MethodInfo(
        name="toy-lesion-classifier",
        summary="Logistic regression on lesion intensity and covariates.",
        task="lesion-classification",
        supervision="labels",
        unit="lesion",
        inputs=frozenset({"lesion-mask", "covariates"}),
        stages=(Stage(name="fit", data="labelled"),),
    )

    class Settings(MethodSettings):
        covariates: tuple[str, ...] = ("age",)
        steps: int = 200

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        count = 3 + len(self.settings.covariates)
        self.classifier = nn.Linear(count, 1)
        self.mean, self.spread = torch.zeros(count), torch.ones(count)

    def _features(self, image: Tensor, mask: Tensor, covariates: object) -> Tensor:
        values = image[0][mask == 1]
        lookup: Callable[..., object] = getattr(covariates, "get", lambda name, default: default)
        clinical = [float(lookup(name, 0.0)) for name in self.settings.covariates]  # type: ignore[arg-type]
        first = torch.stack(
            [values.mean(), values.std(), torch.log(torch.tensor(float(values.numel()))).to(values.device)]
        )
        return torch.cat([first, torch.tensor(clinical, device=values.device)])

    def fit(self, train_set: Volumes, validation: Volumes, run: FitRun) -> None:
        rows = []
        for volume in train_set:
            assert volume.lesion_mask is not None
            mask = torch.from_numpy(volume.lesion_mask.copy())
            rows.append(self._features(torch.from_numpy(volume.image.copy()), mask, volume.covariates))
        table = torch.stack(rows).float()
        labels = torch.tensor([float(volume.label) for volume in train_set])
        self.mean, self.spread = table.mean(0).to(run.device), (table.std(0) + 1e-6).to(run.device)
        items = list(zip((table - table.mean(0)) / (table.std(0) + 1e-6), labels, strict=True))
        train(
            run,
            self.classifier,
            items,
            lambda batch: F.binary_cross_entropy_with_logits(self.classifier(batch[0])[:, 0], batch[1]),
            steps=self.settings.steps,
            batch_size=16,
            learning_rate=3e-2,
        )

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        assert context.lesion_mask is not None
        assert context.covariates is not None
        rows = [
            self._features(image, mask, covariates)
            for image, mask, covariates in zip(images, context.lesion_mask, context.covariates, strict=True)
        ]
        table = (torch.stack(rows).float() - self.mean) / self.spread
        return Prediction(scores=torch.sigmoid(self.classifier(table)[:, 0]))


TOYS = (ToyFeatureDistance, ToyFeatureDecoder, ToyAdapted, ToyLesionClassifier)

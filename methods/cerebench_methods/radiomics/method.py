"""Radiomics features, a few of them selected, and logistic regression: the usual baseline of lesion classification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from cerebench.api import (
    ANOMALY,
    FitRun,
    Method,
    MethodInfo,
    MethodSettings,
    PredictContext,
    Prediction,
    Stage,
    Volumes,
)

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Radiomics(Method):
    """First-order, shape and texture features (mirp) with feature selection and penalty chosen by cross-validation.

    Attributes:
        names: names of the features, as bytes of JSON.
        mean, spread: of each feature in training.
        coefficients: per standardised feature, 0 for those not selected.
        intercept: of the logistic regression.
    """

    info = MethodInfo(
        name="radiomics",
        summary="IBSI radiomics features of the lesion, a few selected, logistic regression.",
        task="lesion-classification",
        supervision="labels",
        unit="lesion",
        modalities=frozenset({"t1c"}),
        inputs=frozenset({"lesion-mask"}),
        stages=(Stage(name="fit", data="labelled"),),
        requires={"mirp": "cerebench[radiomics]"},
        citation=(
            "Zwanenburg A et al. The Image Biomarker Standardization Initiative. Radiology 295(2):328-338, 2020; "
            "features by mirp: Zwanenburg A, Löck S. Journal of Open Source Software 9(99):6413, 2024."
        ),
        reimplementation=True,
        assumptions=(
            "The paper's features, selection and classifier are unknown: 105 IBSI features, the best few by an F test.",
            "How many features and how strong a penalty is chosen by five-fold cross-validation within training.",
            "The folds do not know which lesions share a patient.",
            "Intensities are robustly scaled by preparation and cut into equal bins within each lesion.",
        ),
    )

    class Settings(MethodSettings):
        """Features and their selection.

        Attributes:
            bins: grey levels of the texture matrices.
            select: numbers of features to choose among.
            strengths: inverse ridge penalties to choose among.
            folds: of the cross-validation.
        """

        bins: int = Field(32, ge=2, le=256)
        select: tuple[int, ...] = Field((4, 8, 16), min_length=1)
        strengths: tuple[float, ...] = Field((0.03, 0.3, 3.0), min_length=1)
        folds: int = Field(5, ge=2)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mock": {"bins": 8, "select": (4,), "strengths": (0.3,), "folds": 2},
        "quick": {},
        "nightly": {},
        "standard": {},
        "paper": {},
    }

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Room for the classifier, in doubles."""
        import torch

        self.names = torch.zeros(0, dtype=torch.uint8)
        self.mean, self.spread, self.coefficients = (torch.zeros(0, dtype=torch.float64) for _ in range(3))
        self.intercept = torch.zeros(1, dtype=torch.float64)

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Compute the features and fit; validation lesions choose nothing.

        Raises:
            MethodError: mirp is not installed, or the lesions lack a class.
        """
        import numpy as np
        import torch

        from cerebench_methods.clinical.encoding import text_tensor
        from cerebench_methods.clinical.labels import classes
        from cerebench_methods.radiomics.classifier import fit_classifier

        lesions = list(train)
        labels = classes(lesions, self.info.name)
        rows = []
        for count, one in enumerate(lesions):
            run.progress(count, len(lesions), "features")
            assert one.lesion_mask is not None
            rows.append(self._features(np.asarray(one.image[0]), np.asarray(one.lesion_mask), one.spacing[0]))
        names = sorted(set.intersection(*(set(row) for row in rows)))
        table = np.array([[row[name] for name in names] for row in rows])
        kept = np.isfinite(table).all(axis=0) & (np.ptp(table, axis=0) > 0)
        fitted = fit_classifier(table[:, kept], labels, self.settings, run.seed)
        self.names = text_tensor([name for name, keep in zip(names, kept, strict=True) if keep])
        self.mean, self.spread, self.coefficients, self.intercept = (torch.from_numpy(part) for part in fitted)

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Probability of class 1; a feature that is not finite takes its training mean."""
        import torch

        from cerebench_methods.clinical.encoding import tensor_text

        assert context.lesion_mask is not None
        names = tensor_text(self.names)
        pairs: Iterable[tuple[Tensor, Tensor]] = zip(images[:, 0].cpu(), context.lesion_mask.cpu(), strict=True)
        found = [self._features(image.numpy(), mask.numpy(), context.spacing[0]) for image, mask in pairs]
        rows = torch.tensor([[row.get(name, float("nan")) for name in names] for row in found], dtype=torch.float64)
        scaled = ((rows.to(self.mean.device) - self.mean) / self.spread).nan_to_num(0.0, 0.0, 0.0)
        scores = torch.sigmoid(scaled @ self.coefficients + self.intercept)
        return Prediction(scores=scores.float().to(images.device))

    def _features(self, image: np.ndarray[Any, Any], mask: np.ndarray[Any, Any], spacing_mm: float) -> dict[str, float]:
        from cerebench_methods.radiomics.features import cached_features

        return cached_features(image, mask == ANOMALY, spacing_mm, self.settings.bins)

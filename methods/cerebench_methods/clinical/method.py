"""Logistic regression on clinical variables alone: what any image model has to add to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

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

if TYPE_CHECKING:
    from torch import Tensor


class Clinical(Method):
    """Ridge-penalised logistic regression (scikit-learn) on standardised variables; images are not looked at."""

    info = MethodInfo(
        name="clinical",
        summary="Logistic regression on clinical variables alone; images are not looked at.",
        task="lesion-classification",
        supervision="labels",
        unit="lesion",
        inputs=frozenset({"covariates"}),
        stages=(Stage(name="fit", data="labelled"),),
        citation=(
            "Cox DR. The regression analysis of binary sequences. Journal of the Royal Statistical Society B "
            "20(2):215-242, 1958; as the clinical part of Gomaa A et al. arXiv 2511.18208, 2025."
        ),
        reimplementation=True,
        assumptions=(
            "The paper's clinical variables are not named: every covariate of the card is used.",
            "A missing number takes the training mean and an indicator; a missing category no indicator of its values.",
            "The strength of the penalty is fixed, not tuned: there are too few lesions to choose it.",
        ),
    )

    class Settings(MethodSettings):
        """Attributes: ``strength``, inverse of the ridge penalty."""

        strength: float = Field(0.3, gt=0)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        name: {} for name in ("mock", "quick", "nightly", "standard", "paper")
    }

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """Room for the coefficients, in doubles; nothing is known of the variables yet."""
        import torch

        self.encoding = torch.zeros(0, dtype=torch.uint8)
        self.coefficients = torch.zeros(0, dtype=torch.float64)
        self.intercept = torch.zeros(1, dtype=torch.float64)

    def fit(self, train: Volumes, validation: Volumes, run: FitRun) -> None:
        """Fit on the training lesions; validation ones choose nothing.

        Raises:
            MethodError: the lesions have no variables, or only one class.
        """
        import torch

        from cerebench_methods.clinical.encoding import Encoding
        from cerebench_methods.clinical.labels import classes

        cases = list(train)
        labels = classes(cases, self.info.name)
        encoding = Encoding.learn([case.covariates or {} for case in cases])
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=self.settings.strength, max_iter=1000)
        model.fit([encoding.vector(case.covariates or {}) for case in cases], labels)
        self.encoding = encoding.to_tensor()
        self.coefficients = torch.from_numpy(model.coef_[0].copy())
        self.intercept = torch.from_numpy(model.intercept_.copy())

    def predict(self, images: Tensor, context: PredictContext) -> Prediction:
        """Probability of class 1."""
        import torch

        from cerebench_methods.clinical.encoding import Encoding

        encoding = Encoding.from_tensor(self.encoding)
        rows = [encoding.vector(case) for case in context.covariates or ()]
        table = torch.tensor(rows, dtype=torch.float64).to(self.coefficients.device)
        scores = torch.sigmoid(table @ self.coefficients + self.intercept)
        return Prediction(scores=scores.float().to(images.device))

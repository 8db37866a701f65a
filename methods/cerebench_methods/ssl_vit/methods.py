"""The self-supervised transformer, its supervised counterpart, and its fusion with clinical variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from cerebench.api import MethodError, MethodInfo, PredictContext, Stage, Volume
from cerebench_methods.ssl_vit.classifier import VitClassifier
from cerebench_methods.ssl_vit.pretraining import PRETRAIN, Pretrained
from cerebench_methods.ssl_vit.settings import SslVitSettings, VitSettings, presets

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cerebench_methods.clinical.encoding import Covariates

_PAPER = (
    "Gomaa A, … Putz F. Self-supervised vision transformer for radiation necrosis and progression of brain metastases. "
    "arXiv 2511.18208, 2025."
)
_NETWORK = (
    "Sizes of cube, patch and network are unknown; a mean of the patches' tokens is classified.",
    "The mask channel's convolution starts at zero, so that a pre-trained encoder starts from what it knew.",
    "Lesions are mirrored along every axis and their intensities changed in training.",
    "The class weight is taken off the logits again, so that scores are probabilities.",
)
_PRETRAINING = (
    "The self-supervised objective is unknown: masked autoencoding with 75 % hidden (contrastive is a setting).",
    "Sub-volumes are cubes around lesions where a pool outlines them, else at random places in the brain.",
)
_FIT = Stage(name="fit", data="labelled")


class SslVit(Pretrained, VitClassifier):
    """Pre-trained on unlabelled sub-volumes, fine-tuned on image and mask."""

    info = MethodInfo(
        name="ssl-vit",
        summary="3D vision transformer, pre-trained on unlabelled T1CE sub-volumes, fine-tuned on image and mask.",
        task="lesion-classification",
        supervision="labels",
        unit="lesion",
        modalities=frozenset({"t1c"}),
        inputs=frozenset({"lesion-mask"}),
        stages=(PRETRAIN, _FIT),
        citation=_PAPER,
        reimplementation=True,
        assumptions=(*_PRETRAINING, *_NETWORK),
    )

    class Settings(SslVitSettings):
        """Network, fine-tuning and pre-training."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = presets(pretrained=True)


class SupervisedVit(VitClassifier):
    """The same network and fine-tuning from random weights."""

    info = MethodInfo(
        name="supervised-vit",
        summary="The network of ssl-vit, trained on the labelled lesions alone.",
        task="lesion-classification",
        supervision="labels",
        unit="lesion",
        modalities=frozenset({"t1c"}),
        inputs=frozenset({"lesion-mask"}),
        stages=(_FIT,),
        citation=_PAPER,
        reimplementation=True,
        assumptions=(*_NETWORK, "Trained exactly as ssl-vit is fine-tuned; the paper's own schedule is unknown."),
    )

    class Settings(VitSettings):
        """Network and fine-tuning."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = presets(pretrained=False)


class SslVitMultimodal(Pretrained, VitClassifier):
    """The pre-trained transformer with clinical variables beside its tokens."""

    info = MethodInfo(
        name="ssl-vit-multimodal",
        summary="ssl-vit with clinical variables, fused late or by cross-attention.",
        task="lesion-classification",
        supervision="labels",
        unit="lesion",
        modalities=frozenset({"t1c"}),
        inputs=frozenset({"lesion-mask", "covariates"}),
        stages=(PRETRAIN, _FIT),
        citation=_PAPER,
        reimplementation=True,
        assumptions=(
            *_PRETRAINING,
            *_NETWORK,
            "Clinical variables and fusion are unknown: every covariate of the card, late fusion by default.",
            "A missing number takes the training mean and an indicator; a missing category no indicator of its values.",
        ),
    )

    class Settings(SslVitSettings):
        """Adds the fusion.

        Attributes:
            fusion: ``late`` or ``cross-attention``.
            clinical_width: length of the clinical embedding.
            most_features: largest number of clinical features, indicators counted singly.
        """

        fusion: Literal["late", "cross-attention"] = "late"
        clinical_width: int = Field(16, ge=1)
        most_features: int = Field(64, ge=1)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = presets(pretrained=True)
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"cross": {"fusion": "cross-attention"}}

    def build(self, modalities: tuple[str, ...], shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
        """As the others, with room for the encoding of the variables."""
        import torch

        super().build(modalities, shape, spacing)
        self.encoding = torch.zeros(0, dtype=torch.uint8)

    def new_head(self) -> nn.Module:
        """Tokens and clinical features to a logit."""
        from cerebench_methods.ssl_vit.heads import FusionHead

        settings = self.settings
        return FusionHead(settings, settings.most_features, settings.fusion, settings.clinical_width)

    def learn_covariates(self, volumes: list[Volume]) -> None:
        """Learn how the training lesions' variables become features.

        Raises:
            MethodError: there are none, or more features than ``most_features``.
        """
        from cerebench_methods.clinical.encoding import Encoding

        encoding = Encoding.learn([volume.covariates or {} for volume in volumes])
        count = len(encoding.features)
        if count > self.settings.most_features:
            raise MethodError(
                f"method {self.info.name!r}: the clinical variables give {count} features, but most_features is "
                f"{self.settings.most_features}; raise it"
            )
        self.encoding = encoding.to_tensor()

    def covariates(self, cases: Iterable[Volume | PredictContext]) -> Tensor:
        """Features ``[B, most_features]``, zero beyond the known ones."""
        import torch

        from cerebench_methods.clinical.encoding import Encoding

        encoding = Encoding.from_tensor(self.encoding)
        rows: list[Covariates] = []
        for case in cases:
            rows += [case.covariates or {}] if isinstance(case, Volume) else case.covariates or ()
        table = torch.zeros(len(rows), self.settings.most_features)
        for features, row in zip(table, rows, strict=True):
            vector = encoding.vector(row)
            features[: len(vector)] = torch.tensor(vector)
        return table

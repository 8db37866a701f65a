"""Fine-tuning: two channels, layer-wise rates, class weights that are taken off again, clinical variables."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import conv3d

from cerebench.api import MethodError
from cerebench.testing import assert_conforms, mock_volumes
from cerebench.testing.mock import MemoryVolumes
from cerebench_methods.ssl_vit.encoder import scaled
from cerebench_methods.ssl_vit.finetuning import augmented, layer_groups
from cerebench_methods.ssl_vit.methods import SslVit, SslVitMultimodal, SupervisedVit

METHODS = (SslVit, SupervisedVit, SslVitMultimodal)


def labelled(cls, count: int = 12, positive_every: int = 2) -> MemoryVolumes:
    volumes = list(mock_volumes(cls.info, 2 * count, labelled=True, shape=(12, 12, 12)))
    ones = [volume for volume in volumes if volume.label == 1][: count // positive_every]
    zeros = [volume for volume in volumes if volume.label == 0][: count - len(ones)]
    return MemoryVolumes([*ones, *zeros])


@pytest.mark.parametrize("cls", METHODS, ids=lambda cls: cls.info.name)
def test_conforms(cls):
    assert_conforms(cls)


def test_two_convolutions_are_one_over_two_channels(built):
    method = built(SupervisedVit, dropout=0.0)
    with torch.no_grad():
        method.mask_embedding.convolution.weight.normal_()
    images, masks = torch.rand(2, 2, 1, 12, 12, 12)
    first = method.encoder.patch_embedding.patch_embeddings
    weight = torch.cat([first.weight, method.mask_embedding.convolution.weight], dim=1)
    joint = conv3d(torch.cat([images, masks], dim=1), weight, first.bias, stride=method.settings.patch)
    tokens = method.encoder.patch_embedding(images) + method.mask_embedding(masks)
    positions = method.encoder.patch_embedding.position_embeddings
    torch.testing.assert_close(tokens - positions, joint.flatten(2).transpose(1, 2), atol=1e-5, rtol=1e-4)


def test_the_mask_says_nothing_at_first_and_something_later(built, context, fit_run):
    method = built(SupervisedVit)
    images, mask = torch.rand(1, 1, 12, 12, 12), torch.zeros(1, 12, 12, 12, dtype=torch.uint8)
    other = mask.clone()
    other[:, 3:6, 3:6, 3:6] = 1
    ignored = mask.clone()
    ignored[:, 3:6, 3:6, 3:6] = 2

    def score(one):
        with torch.no_grad():
            return float(method.predict(images, context(one)).scores)

    assert score(mask) == score(other) == 0.5
    method.fit(labelled(SupervisedVit), MemoryVolumes([]), fit_run)
    assert score(mask) == score(ignored)  # another lesion's voxels
    assert score(mask) != score(other)


@pytest.mark.parametrize("cls", METHODS, ids=lambda cls: cls.info.name)
def test_rates_fall_towards_the_input_and_every_weight_is_in_one_group(built, cls):
    method = built(cls, depth=3)
    groups = layer_groups(method._network(), 1.0, 0.5)
    assert [group["lr"] for group in groups] == [0.5**4, 0.5**3, 0.5**2, 0.5, 1.0]
    inside = [id(one) for group in groups for one in group["params"]]
    wanted = [id(one) for one in method._network().parameters() if one.requires_grad]
    assert sorted(inside) == sorted(wanted)
    last = {id(one) for one in groups[3]["params"]}
    assert {id(one) for one in method.encoder.blocks[-1].parameters()} < last
    assert {id(one) for one in method.encoder.blocks[2].parameters()} < last
    assert id(method.encoder.cls_token) in {id(one) for one in groups[0]["params"]}


def test_probabilities_have_the_prevalence_of_training(built, fit_run, context):
    method = built(SupervisedVit, epochs=1, learning_rate=1e-9)
    volumes = labelled(SupervisedVit, 12, positive_every=4)
    method.fit(volumes, MemoryVolumes([]), fit_run)
    assert float(method.prior) == pytest.approx(math.log(9 / 3))
    # an untrained classifier is at even odds under the weight, at the prevalence without
    images = torch.from_numpy(np.stack([volume.image for volume in volumes]))
    masks = torch.from_numpy(np.stack([volume.lesion_mask for volume in volumes]))
    with torch.no_grad():
        scores = method.predict(images, context(masks)).scores
    torch.testing.assert_close(scores, torch.full((12,), 3 / 12), atol=1e-4, rtol=0)


def test_the_weighted_loss_is_that_of_the_classes_in_balance(built, fit_run):
    method = built(SupervisedVit, epochs=1, batch_size=12)
    method.fit(labelled(SupervisedVit, 12, positive_every=4), MemoryVolumes([]), fit_run)
    # logits are 0 at first: nine negatives and three positives of weight 3, each ln 2
    assert fit_run.curves[0]["loss"] == pytest.approx((9 + 3 * 3) / 12 * math.log(2), rel=1e-5)


def test_early_stopping_ends_training_and_keeps_the_best(built, fit_run):
    method = built(SupervisedVit, epochs=40, patience=3, learning_rate=3e-2)
    wrong = MemoryVolumes([replace(one, label=1 - one.label) for one in labelled(SupervisedVit)])
    method.fit(labelled(SupervisedVit), wrong, fit_run)
    held_out = [row["validation"] for row in fit_run.curves]
    assert len(held_out) < 40
    assert len(held_out) - 1 - int(np.argmin(held_out)) == 3


def test_augmentation_moves_image_and_mask_alike():
    torch.manual_seed(0)
    image = torch.rand(6, 1, 6, 6, 6) + 1
    mask = (image > 1.7).float()
    batch = augmented({"image": image, "mask": mask, "label": torch.arange(6.0)})
    assert torch.equal(batch["label"], torch.arange(6.0))
    assert torch.equal(batch["mask"].sum((1, 2, 3, 4)), mask.sum((1, 2, 3, 4)))
    assert not torch.equal(batch["mask"], mask)
    bright = [
        float(one[part > 0].mean() / one[part == 0].mean())
        for one, part in zip(batch["image"], batch["mask"], strict=True)
    ]
    assert min(bright) > 1.2


@pytest.mark.parametrize("fusion", ["late", "cross-attention"])
def test_missing_variables_and_unseen_categories_are_predicted(built, fit_run, context, fusion):
    method = built(SslVitMultimodal, fusion=fusion)
    volumes = [
        replace(one, covariates={"age": 50.0 + index, "primary": "lung" if index % 3 else "breast"} if index else {})
        for index, one in enumerate(labelled(SslVitMultimodal))
    ]
    method.fit(MemoryVolumes(volumes), MemoryVolumes([]), fit_run)
    images = torch.rand(1, 1, 12, 12, 12).repeat(4, 1, 1, 1, 1)
    mask = torch.zeros(4, 12, 12, 12, dtype=torch.uint8)
    cases = ({}, {"age": 70.0}, {"age": 70.0, "primary": "skin"}, {"age": 20.0, "primary": "lung"})
    with torch.no_grad():
        scores = method.predict(images, context(mask, cases)).scores
    assert bool(torch.isfinite(scores).all())
    assert scores[1] == scores[2]  # an unseen category is a missing one
    assert len(set(scores.tolist())) == 3


def test_too_many_features_and_lesions_without_class_are_named(built, fit_run):
    method = built(SslVitMultimodal, most_features=2)
    with pytest.raises(MethodError, match="give 3 features, but most_features is 2"):
        method.fit(labelled(SslVitMultimodal), MemoryVolumes([]), fit_run)
    volumes = list(labelled(SupervisedVit))
    volumes[3] = replace(volumes[3], label=None)
    with pytest.raises(MethodError, match="1 of 12 training lesions have no class"):
        built(SupervisedVit).fit(MemoryVolumes(volumes), MemoryVolumes([]), fit_run)
    ones = MemoryVolumes([one for one in labelled(SupervisedVit) if one.label == 1])
    with pytest.raises(MethodError, match=r"have the classes \[1\], expected 0 and 1"):
        built(SupervisedVit).fit(ones, MemoryVolumes([]), fit_run)


@pytest.mark.parametrize("settings", [{"width": 32}, {"width": 24, "heads": 5}])
def test_widths_that_do_not_divide_are_named(settings):
    with pytest.raises(Exception, match="cannot be divided among"):
        SslVit.settings_for("mock", settings)


def test_intensities_are_centred():
    assert scaled(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-1.0, 0.0, 1.0]

"""The card is valid, its file names are unambiguous, and its twin can be read and split."""

from importlib.resources import files

from cerebench.plugins.registry import Registry
from cerebench.testing import assert_card_conforms


def test_card_conforms():
    assert_card_conforms(str(files("cerebench_card") / "cards" / "example-lesions.yaml"))


def test_it_is_registered():
    assert Registry.discover().card("example-lesions").modalities == ("flair", "t1")

"""``bench show cohort``: the datasheet for people, the card for scripts."""

from __future__ import annotations


def test_the_datasheet_is_shown(bench):
    shown = bench("show", "cohort", "brats-gli").out
    assert shown.startswith("BraTS glioma, 2021 and 2023 releases\n")
    assert "\nTraps\n- The enhancing tumour is label 4 in the 2021 release" in shown
    assert "\nLayout 2023\n" in shown
    assert "{patient}-{visit}/{patient}-{visit}-seg.nii.gz" in shown
    assert "ET, enhancing tumour" in shown
    assert "\nIn-silico twin\n" in shown
    assert shown.endswith("source: cerebench\n")


def test_json_is_the_card(bench):
    shown = bench("show", "cohort", "brats-gli", "--json").json
    assert (shown["name"], shown["source"]) == ("brats-gli", "cerebench")
    assert [layout["name"] for layout in shown["layouts"]] == ["2023", "2021"]
    assert shown["layouts"][0]["labels"] == {"1": "anomaly", "2": "anomaly", "3": "anomaly"}


def test_a_card_of_ones_own_is_shown(bench, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "schema: 1\nname: mine\ntitle: Mine\nsummary: S.\ncitation: C\nlicence: L\naccess: A.\nhealthy: true\n"
        'modalities: [t1]\nlayouts: [{name: flat, images: {t1: "{patient}.nii.gz"}, patient: "{patient}"}]\n',
        encoding="utf-8",
    )
    shown = bench("show", "cohort", "mine", "--cards", str(tmp_path)).out
    assert "subjects:" in shown
    assert "healthy" in shown
    assert "In-silico twin" not in shown

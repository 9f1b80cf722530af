from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from connectors.label_studio.labeling_config import HOTKEYS, class_ids, label_text, label_texts, labeling_config
from workspace.config import ClassConfig

names = st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=12, unique=True)
alike = st.lists(st.text(alphabet="a b\t$＄\n()2\x00", min_size=1, max_size=6), min_size=1, max_size=12, unique=True)


def labels_of(xml: str, tag: str) -> list[ET.Element]:
    control = ET.fromstring(xml).find(tag)
    assert control is not None
    return list(control)


@given(names | alike)
def test_each_class_has_a_label_of_its_own_that_leads_back_to_it(given_names: list[str]) -> None:
    ids = class_ids(given_names)
    assert [ids[text] for text in label_texts(given_names)] == list(range(len(given_names)))


@given(names | alike)
def test_a_label_survives_the_xml_and_trimming(given_names: list[str]) -> None:
    xml = labeling_config([ClassConfig(name=name) for name in given_names])
    for tag in ("BrushLabels", "PolygonLabels"):
        values = [str(label.get("value")) for label in labels_of(xml, tag)]
        assert values == list(label_texts(given_names))
        assert [label_text(f"  {value}\n") for value in values] == values


def test_names_that_look_the_same_are_numbered_without_taking_anothers_name() -> None:
    assert label_texts(["a b", "a  b", "a b (2)", " a b"]) == ("a b", "a b (3)", "a b (2)", "a b (4)")
    assert label_texts(["\n", "class 0"]) == ("class 0", "class 0 (2)")


def test_a_dollar_is_no_reference_to_task_data() -> None:
    assert label_texts(["$image"]) == ("＄image",)


def test_quotes_brackets_and_emoji_are_written_as_they_are() -> None:
    name = "\"a\" <b> & 'c' 😀"
    assert label_texts([name]) == (name,)
    assert labels_of(labeling_config([ClassConfig(name=name)]), "BrushLabels")[0].get("value") == name


def test_colours_are_distinct_and_hotkeys_are_on_the_brush_once_each() -> None:
    classes = [ClassConfig(name="fixed", color="#0000FF"), *(ClassConfig(name=f"c{k}") for k in range(40))]
    brush = labels_of(labeling_config(classes), "BrushLabels")
    assert brush[0].get("background") == "#0000ff"
    assert len({label.get("background") for label in brush}) == len(brush)
    hotkeys = [label.get("hotkey") for label in brush]
    assert hotkeys == [*HOTKEYS, *[None] * (41 - len(HOTKEYS))]
    assert not any(label.get("hotkey") for label in labels_of(labeling_config(classes), "PolygonLabels"))

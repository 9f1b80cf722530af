from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from connectors.label_studio.labeling_config import (
    CANNOT_TELL_TEXT,
    HOTKEYS,
    SEVERAL_TEXT,
    choice_texts,
    class_ids,
    label_text,
    label_texts,
    labeling_config,
    tiles_config,
)
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


@given(names | alike, st.integers(1, 60))
def test_each_choice_of_a_tile_leads_back_to_its_class_and_no_name_is_taken_for_the_index(
    given_names: list[str], tiles: int
) -> None:
    view = ET.fromstring(tiles_config([ClassConfig(name=name) for name in given_names], tiles))
    repeater = next(view.iter("Repeater"))
    index = str(repeater.get("indexFlag"))
    (choices,) = view.iter("Choices")
    returned = [str(choice.get("alias") or choice.get("value")) for choice in choices]
    assert returned == list(choice_texts(given_names))
    assert returned[:-2] == list(label_texts(given_names)) or {SEVERAL_TEXT, CANNOT_TELL_TEXT} & set(given_names)
    assert not any(index in text for text in returned)
    values = [str(choice.get("value")) for choice in choices]
    if choices.get("layout") == "select":
        assert len(set(values)) == len(values)  # Label Studio finds the choice by it
    else:
        assert set(values) == {f"choice{index}"}  # one group of buttons per tile, which Tab enters once
    assert ">" not in str(next(view.iter("Style")).text)  # the rule would vanish


def test_markup_in_a_name_is_shown_as_text_on_a_tile() -> None:
    view = ET.fromstring(tiles_config([ClassConfig(name="<img src=x onerror=alert(1)>")], 20))
    shown = next(view.iter("Choice")).get("html")
    assert shown == "&lt;img src=x onerror=alert(1)&gt;"


def test_a_name_that_holds_the_index_makes_another_one() -> None:
    view = ET.fromstring(tiles_config([ClassConfig(name="{{idx}} {{iidx}}")], 20))
    assert next(view.iter("Repeater")).get("indexFlag") == "{{iiidx}}"
    assert next(view.iter("Choices")).get("name") == "choice{{iiidx}}"


def test_one_by_one_has_keys_and_many_classes_are_a_list() -> None:
    def config(classes: int, tiles: int) -> ET.Element:
        return next(
            ET.fromstring(tiles_config([ClassConfig(name=f"c{k}") for k in range(classes)], tiles)).iter("Choices")
        )

    assert [choice.get("hotkey") for choice in config(2, 1)] == ["1", "2", "3", "4"]
    assert not any(choice.get("hotkey") for choice in config(2, 20))
    assert config(14, 20).get("layout") is None
    assert config(15, 20).get("layout") == "select"


def test_help_adds_one_smart_tool_and_makes_no_other_smart() -> None:
    classes = [ClassConfig(name=name) for name in ("road", "car")]
    view = ET.fromstring(labeling_config(classes, assist=True))
    smart = {tag.tag: tag.get("smart") for tag in view if tag.get("toName")}
    assert smart == {"BrushLabels": "false", "KeyPointLabels": "true", "PolygonLabels": "false"}
    assert [label.get("value") for label in labels_of(labeling_config(classes, assist=True), "KeyPointLabels")] == [
        "road",
        "car",
    ]
    assert "smart" not in labeling_config(classes)
    assert "KeyPoint" not in labeling_config(classes)

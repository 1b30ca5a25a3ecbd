"""Each kind of change that breaks somebody is named; changes that break nobody pass."""

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from shared.contract.events import EVENT_TYPES
from shared.contract.schema_compatibility import incompatible_changes


class Lane(BaseModel):
    partition: int


class FasterLane(BaseModel):
    partition: Annotated[int, Field(ge=3)]


def schema(required: Any = None, **fields: Any) -> dict:
    """The schema of a model with these fields; `required` is the type of its one required field."""
    required_field = {} if required is None else {"field": (required, ...)}
    return create_model("Event", **required_field, **fields).model_json_schema()


def changes(old: Any, new: Any) -> list[str]:
    return incompatible_changes(schema(old), schema(new))


def test_a_removed_field_is_named():
    """Somebody reads it."""
    assert incompatible_changes(schema(int, gone=(str, "")), schema(int)) == ["gone: the field was removed"]


def test_a_new_required_field_is_named():
    """The records that are there already do not have it."""
    assert incompatible_changes(schema(int), schema(int, new=(str, ...))) == [
        "new: the field is now required, records without it exist"
    ]


def test_a_field_that_becomes_required_is_named():
    """Records that left it out are there already."""
    (change,) = incompatible_changes(schema(later=(str, "")), schema(later=(str, ...)))
    assert change.startswith("later: the field is now required")


def test_a_field_that_may_be_missing_now_is_named():
    """It was in every record, so readers count on it."""
    assert incompatible_changes(schema(later=(str, ...)), schema(later=(str, ""))) == [
        "later: the field may be missing now, readers count on it"
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (int, str, "the type integer is no longer accepted (now string)"),
        (float, int, "the type number is no longer accepted (now integer)"),
        (int | None, int, "the type null is no longer accepted"),
        (int | str, str, "the type integer is no longer accepted"),
        (Any, str, "the type of anything is no longer accepted"),
        (Literal["a", "b"], Literal["a"], "the value 'b' was removed"),
        (Literal["a"], Literal["b"], "the value 'a' was removed"),
        (str, Literal["a", "b"], "only 'a', 'b' is accepted now"),
        (Annotated[int, Field(ge=1)], Annotated[int, Field(ge=2)], "minimum was tightened from 1 to 2"),
        (Annotated[int, Field(gt=1)], Annotated[int, Field(gt=2)], "exclusiveMinimum was tightened from 1 to 2"),
        (Annotated[int, Field(le=9)], Annotated[int, Field(le=8)], "maximum was tightened from 9 to 8"),
        (Annotated[int, Field(lt=9)], Annotated[int, Field(lt=8)], "exclusiveMaximum was tightened from 9 to 8"),
        (int, Annotated[int, Field(ge=0)], "minimum was tightened from no bound to 0"),
        (str, Annotated[str, Field(min_length=1)], "minLength was tightened from no bound to 1"),
        (Annotated[str, Field(max_length=9)], Annotated[str, Field(max_length=8)], "maxLength was tightened"),
        (list[int], Annotated[list[int], Field(min_length=1)], "minItems was tightened"),
        (list[int], Annotated[list[int], Field(max_length=1)], "maxItems was tightened"),
        (str, Annotated[str, Field(pattern="^a")], "pattern changed from None to '^a'"),
        (list[int], list[str], "field[]: the type integer is no longer accepted"),
        (dict[str, int], dict[str, str], "field.*: the type integer is no longer accepted"),
        (list[Lane], list[FasterLane], "field[].partition: minimum was tightened"),
        (Lane | None, FasterLane | None, "field.partition: minimum was tightened"),
        (dict[str, Any], Lane, "field.partition: the field is now required"),
    ],
)
def test_a_narrower_field_is_named_with_what_became_narrower(old, new, words):
    """Records that met the old schema would be refused by the new one."""
    (change,) = changes(old, new)
    assert change.startswith("field")
    assert words in change


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (int, int | None),
        (int, float),
        (str, Any),
        (str, str | int),
        (Literal["a"], Literal["a", "b"]),
        (Literal["a", "b"], str),
        (Annotated[int, Field(ge=2)], Annotated[int, Field(ge=1)]),
        (Annotated[int, Field(ge=2)], int),
        (Annotated[str, Field(max_length=5)], Annotated[str, Field(max_length=6)]),
        (Annotated[str, Field(pattern="^a")], str),
        (list[FasterLane], list[Lane]),
    ],
)
def test_a_wider_field_is_fine(old, new):
    """Every record of the old schema is still read."""
    assert changes(old, new) == []
    assert changes(new, old) != [], "and the way back is not"


def test_refusing_unknown_fields_is_named():
    """Tolerance is part of the contract."""
    old = schema(int)
    assert incompatible_changes(old, {**old, "additionalProperties": False}) == [
        "*: other fields are no longer tolerated"
    ]


def test_words_for_people_may_change():
    """Titles and descriptions bind nobody."""
    old = schema(int)
    new = {**old, "title": "Other", "description": "Said better", "examples": [1]}
    assert incompatible_changes(old, new) == []


def test_every_change_is_named_not_only_the_first():
    """Whoever made them sees all at once."""
    old, new = schema(int, gone=(str, ""), narrowed=(str, "")), schema(str, narrowed=(int, 0))
    assert {change.partition(":")[0] for change in incompatible_changes(old, new)} == {"field", "gone", "narrowed"}


names = st.text("abcdefgh", min_size=1, max_size=4).map("new_{}".format)
types = st.sampled_from([int, str, bool, float, list[int], dict[str, str], Lane, Lane | None, Literal["a"]])


@given(st.sampled_from(sorted(EVENT_TYPES)), st.dictionaries(names, types, max_size=4))
def test_adding_optional_fields_to_any_event_is_fine(name, fields):
    """That is how events grow."""
    kind = EVENT_TYPES[name]
    grown = create_model(name, __base__=kind, **{field: (kind_ | None, None) for field, kind_ in fields.items()})
    assert incompatible_changes(kind.model_json_schema(), grown.model_json_schema()) == []


@given(st.sampled_from(sorted(EVENT_TYPES)), st.data())
def test_taking_any_field_from_any_event_is_named(name, data):
    """Whichever field it is."""
    old = EVENT_TYPES[name].model_json_schema()
    field = data.draw(st.sampled_from(sorted(old["properties"])))
    new = {**old, "properties": {key: value for key, value in old["properties"].items() if key != field}}
    assert f"{field}: the field was removed" in incompatible_changes(old, new)


@given(types, types)
def test_what_breaks_nobody_reads_every_old_value(old, new):
    """The comparison agrees with itself: a type is compatible with itself and with a choice that holds it."""
    assert changes(old, old) == []
    assert changes(old, old | new) == []

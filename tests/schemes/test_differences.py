"""What differs between two schemes, in words."""

from brats_unet.schemes.differences import differences
from brats_unet.schemes.scheme_file import builtin, scheme_of


def scheme(count=2, **values):
    labels = {"A": 1, **{f"B{number}": number + 2 for number in range(count - 1)}} | values
    return scheme_of(
        {"labels": labels, "regions": {"R": ["A"], **{f"Q{name}": [name] for name in labels if name != "A"}}}
    )


def test_equal_schemes_do_not_differ_whatever_their_names_are():
    renamed = scheme_of(builtin("glioma").as_dict() | {"name": "mine"})
    assert differences(builtin("glioma"), renamed, "in the run", "now") == ""


def test_another_value_of_a_label_is_named_with_both():
    assert differences(scheme(), scheme(B0=7), "in the run", "now") == "label B0 is 2 in the run, 7 now"


def test_what_one_scheme_lacks_is_missing_in_it():
    assert differences(scheme(1), scheme(2), "in the run", "now") == (
        "label B0 is missing in the run, 2 now; region QB0 is missing in the run, B0 now; "
        "predicted: R in the run, R, QB0 now; classes: A in the run, A, B0 now; scored: R in the run, R, QB0 now"
    )
    assert differences(scheme(2), scheme(1), "here", "there").startswith("label B0 is 2 here, missing there; ")


def test_after_five_differences_the_rest_is_counted():
    found = differences(scheme(1), scheme(4), "in the run", "now")  # 3 labels, 3 regions, 3 lists
    assert found.count(";") == 5 and found.endswith("; and 4 more")


def test_a_region_is_shown_by_its_labels():
    one = scheme_of({"labels": {"A": 1, "B": 2}, "regions": {"R": ["A", "B"], "Q": ["B"]}})
    other = scheme_of({"labels": {"A": 1, "B": 2}, "regions": {"R": ["A"], "Q": ["B"]}})
    assert differences(one, other, "before", "after") == "region R is A+B before, A after"

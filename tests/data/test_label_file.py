"""Tables of labels: separators, names of images, types, values that are missing, refusals."""

import os
import unicodedata

import numpy as np
import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.label_file import read_label_file
from tf_mmdvlae.data.labels import has_value, kind_of
from tf_mmdvlae.data.listing import OLD_RULES

NAMES = [f"i{number:04d}.png" for number in range(60)]


@pytest.fixture
def read(tmp_path):
    """`read(text, names)`: what a file of that text gives."""

    def read(text, names=NAMES, rules=""):
        path = tmp_path / "labels.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_label_file(str(path), names, rules)

    return read


@pytest.fixture
def read_column(read):
    """`read_column(fields)`: the array and the classes of one column."""

    def read_column(fields, separator=","):
        rows = [f"{name}{separator}{field}" for name, field in zip(NAMES, fields, strict=False)]
        names, labels, classes = read("\n".join([f"file{separator}it", *rows]))
        assert names == NAMES[: len(fields)]
        return labels.get("it"), classes.get("it")

    return read_column


@pytest.mark.parametrize(
    ("fields", "expected", "kind", "classes"),
    [
        (["0", "1", "0", "1"], [0, 1, 0, 1], "attribute", None),
        (["0.0", "1.0", "1", "0"], [0, 1, 1, 0], "attribute", None),
        (["-1", "1", "1"], [0, 1, 1], "attribute", None),
        (["True", "false", "TRUE"], [1, 0, 1], "attribute", None),
        (["0", "1", "0", "NA"], [0, 1, 0, -1], "attribute", None),
        (["true", "none", "", "false"], [1, -1, -1, 0], "attribute", None),
        (["-1", "0", "1"], [0, 1, 2], "class", ["-1", "0", "1"]),
        (["7", "10", "?", "7"], [0, 1, -1, 0], "class", ["7", "10"]),
        ([str(age) for age in range(30)], list(range(30)), "class", list(map(str, range(30)))),
        ([str(age) for age in range(31)], list(range(31)), "factor", None),
        (["0.5", "1", "-2e1"], [0.5, 1, -20], "factor", None),
        (["full", "none", "full"], [0, 1, 0], "class", ["full", "none"]),
        (["fair", "None", "dark", "."], [1, -1, 0, -1], "class", ["dark", "fair"]),
        (["1", "2", "fair"], [0, 1, 2], "class", ["1", "2", "fair"]),
        (["true", "perhaps"], [1, 0], "class", ["perhaps", "true"]),
        # Numbers are what they mean, however they are written.
        (["\N{MINUS SIGN}0.5", "1", "-2e1"], [-0.5, 1, -20], "factor", None),
        (["1", "01", "+1", "02", "1.0"], [0, 0, 0, 1, 0], "class", ["1", "02"]),
        (["7.0", "10.0", "", "7.0"], [0, 1, -1, 0], "class", ["7", "10"]),
        (["-1", "\N{MINUS SIGN}1", "2"], [0, 0, 1], "class", ["-1", "2"]),
        (["caf\u00e9", "cafe\u0301"], [0, 0], "class", ["caf\u00e9"]),
        # What is no word for "no value" in a list becomes one where it stands among numbers.
        (["0.5", "keine", "1.5", "2.5", "keine"], [0.5, -1, 1.5, 2.5, -1], "factor", None),
        (["x", "0.5", "--", "x", "1", "2", "3", "--", "4"], None, "factor", None),
        (["0", "1", "unknown", "unknown", "1"], [0, 1, -1, -1, 1], "attribute", None),
        (["true", "false", "unknown", "unknown", "true"], [1, 0, -1, -1, 1], "attribute", None),
        # But words of which there are many, or with digits, are classes beside few numbers.
        (["7", "8", "9", "J", "Q", "K"], [0, 1, 2, 3, 5, 4], "class", [*"789JKQ"]),
        (["7", "8", "9", "9", "6a", "6a"], [1, 2, 3, 3, 0, 0], "class", ["6a", *"789"]),
        (["S", "M", "38", "S", "M"], [2, 1, 0, 2, 1], "class", ["38", "M", "S"]),
    ],
)
def test_the_type_of_a_column(read_column, fields, expected, kind, classes):
    values, names = read_column(fields)
    assert (kind_of(values), names) == (kind, classes)
    if expected is None:
        expected = [-1 if word in ("x", "--") else float(word) for word in fields]
    np.testing.assert_array_equal(has_value(values), np.array(expected) != -1)
    np.testing.assert_array_equal(values[has_value(values)], np.array(expected)[has_value(values)])
    assert (values.dtype == bool) == (kind == "attribute" and -1 not in expected)


@pytest.mark.parametrize(
    "word",
    ["", "NA", "N/A", "NaN", "NULL", "None", ".", "?", "none", "nan", "#N/A", "<NA>", "-nan"],
)
def test_words_for_no_value_among_numbers(read_column, word):
    fields = [str(number / 7) for number in range(60)]
    fields[3] = word
    values, classes = read_column(fields)
    assert classes is None
    expected = np.array([np.nan if n == 3 else n / 7 for n in range(60)], np.float32)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("word", ["x", "1_000", "inf", "1e39", "٣"])
def test_a_word_in_a_column_of_numbers(read_column, word):
    fields = [str(number / 7) for number in range(10)]
    fields[8:9] = [word]
    with pytest.raises(InputError, match=f"labels.csv, line 10: '{word}' is no number, unlike 9 "):
        read_column(fields)


def test_words_for_no_value_are_named(read_column, caplog):
    fields = [str(number / 7) for number in range(40)] + ["unknown"] * 20
    assert np.isnan(read_column(fields)[0]).sum() == 20
    assert "column 'it': 'unknown', 20 of 60 values, stand for no value, as" in caplog.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["0.5", "1.5", "unknown", "2.5"], "line 4: 'unknown' is no number, unlike 3 other values"),
        (["0.5", "1.5", "a", "b", "c", "2.5", "3"], "line 4: 'a' is no number, unlike 4 other val"),
        (["1.5", "1,000", "1,000"], "line 3: '1,000' is no number, unlike 1 other values in"),
        (["1,000", "2,500"], "line 2: '1,000' is no number in column 'it'; write it with digits"),
        (["1.234,5", "12.345,6"], "line 2: '1.234,5' is no number in column 'it'; write it with"),
        (["12%", "3", "4", "12%"], "line 2: '12%' is no number, unlike 2 other values in column"),
        (["0.5", "1_0", "1_0", "2.5", "2.5"], "line 3: '1_0' is no number, unlike 3 other"),
    ],
)
def test_mixtures_that_nobody_understands(read_column, fields, message):
    with pytest.raises(InputError, match=message):
        read_column([f'"{field}"' for field in fields])


def test_percentages_may_be_classes(read_column):
    assert read_column(["10%", "50%", "10%"])[1] == ["10%", "50%"]


def test_a_word_for_each_picture_is_no_class(read_column, caplog):
    assert read_column([f"{number}%" for number in range(60)]) == (None, None)
    assert "has 60 different words for 60 images and is left out" in caplog.text
    assert len(read_column([f"{number // 2}%" for number in range(60)])[1]) == 30


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("separator", "first"), [(",", ""), (";", ""), ("\t", ""), (";", "sep=;\r\n"), ("|", "SEP=|\n")]
)
def test_separators_and_encodings(read, separator, first, encoding):
    rows = [["file", "smile", "age"], *([n, str(k % 2), f"{k / 10}"] for k, n in enumerate(NAMES))]
    names, labels, _ = read((first + "\r\n".join(map(separator.join, rows))).encode(encoding))
    assert names == NAMES
    np.testing.assert_array_equal(labels["smile"], np.arange(60) % 2 == 1)
    np.testing.assert_array_equal(labels["age"], np.arange(60, dtype=np.float32) / np.float32(10))


def test_decimal_commas(read_column):
    np.testing.assert_array_equal(read_column(["0,5", "1,25", "3"], ";")[0], [0.5, 1.25, 3])


def test_a_heading_with_another_separator(read):
    _, labels, _ = read("file;height, cm;smile\ni0000.png;1,5;0\ni0001.png;2,5;1\n")
    assert labels["height, cm"].tolist() == [1.5, 2.5]
    assert labels["smile"].tolist() == [False, True]


def test_the_number_of_a_line_after_excels_first(read):
    with pytest.raises(InputError, match="line 4: 3 fields with '|' between them, not 2"):
        read("sep=|\nfile|a\ni0000.png|1\ni0001.png|1|2\n")


def test_spaces_around_names(read):
    names = [" i0.png", "i1.png ", "i 2.png", "i3.png"]
    text = "file,it\ni0.png,1.5\ni1.png,2.5\n i 2.png ,3.5\n'i3.png', \"4.5\"\n".replace("'", '"')
    found, labels, _ = read(text, names)
    assert found == names
    assert labels["it"].tolist() == [1.5, 2.5, 3.5, 4.5]


def test_spaces_with_and_without_the_first_lines_of_celeba(read):
    rows = "".join(f"{name}  {1 - 2 * (k % 2)} -1\n" for k, name in enumerate(NAMES))
    for head in ("60\nSmiling Male\n", "60\nfile Smiling Male\n", "file Smiling Male\n"):
        names, labels, _ = read(head + rows)
        assert (names, list(labels)) == (NAMES, ["Smiling", "Male"])
        np.testing.assert_array_equal(labels["Smiling"], np.arange(60) % 2 == 0)
        assert not labels["Male"].any()


def test_an_exact_name_beats_one_without_folders(read):
    names = ["i0.png", "i1.png", "sub/i0.png", "sub/i2.png"]
    text = "file,age\ni0.png,1.5\nsub/i0.png,2.5\ni2.png,3.5\nsub\\i1.png,4.5\n"
    found, labels, _ = read(text, names)
    assert found == ["i0.png", "sub/i0.png", "sub/i2.png"]
    assert labels["age"].tolist() == [1.5, 2.5, 3.5]
    # As in version 0.2, on whose splits its runs go on.
    assert read(text, names, OLD_RULES)[0] == ["sub/i0.png", "sub/i2.png"]


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_ways_to_write_an_accent(read, forms):
    names = [unicodedata.normalize(forms[0], f"é{number}.png") for number in range(4)]
    text = "file,smile\n" + "".join(f"é{number}.png,{number % 2}\n" for number in range(4))
    found, labels, _ = read(unicodedata.normalize(forms[1], text), names)
    assert found == names
    assert labels["smile"].tolist() == [False, True, False, True]
    # Where both are there, each row has its own.
    both = [unicodedata.normalize(form, "é.png") for form in forms]
    _, labels, _ = read(f"file,age\n{both[1]},1.5\n{both[0]},0.5\n", both)
    assert labels["age"].tolist() == [0.5, 1.5]


def test_empty_rows_and_columns_of_a_spreadsheet(read):
    found, labels, _ = read("file,smile,,\ni0000.png,1,,\n,,,\ni0001.png,0,,\n,,,\n")
    assert (found, list(labels)) == (NAMES[:2], ["smile"])


def test_two_equal_rows_are_one(read):
    assert read("file,smile\ni0000.png,1\ni0001.png,0\ni0000.png, 1\n")[0] == NAMES[:2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,smile\n\n\n\ni0000.png,1\ni0001.png,0,1\n", "line 6: 3 fields with commas between"),
        ('file,"a\nb"\n\ni0000.png,1\n"i0001.png",0,1\n', "line 5: 3 fields with commas"),
        ("file;smile\ni0000.png;1;2\n", "line 2: 3 fields with semicolons between them, not 2"),
        ("file smile\ni 1.png 1\n", "line 2: 3 fields with spaces between them, not 2"),
        ("file\ni0000.png\n", "needs a column of file names and then one column per attribute, w"),
        ("file,a,a\ni0000.png,1,0\n", "has two columns 'a'; rename or remove one"),
        ("file,a,\ni0000.png,1,0\n", "column 3 has no name"),
        ("file,\u00e9,e\u0301\ni0000.png,1,0\n", "has two columns '\u00e9'"),
        ("file,a\ni0000.png,1\n\ni0000.png,0\n", "lines 2 and 4: the rows of i0000.png differ"),
        ("file,a\ni0000.png,1\n./i0000.png,0\n", "lines 2 and 3: the rows of i0000.png differ"),
        ("i0000.png 1\ni0001.png 2\n", "has no heading; its first row is of the image i0000.png"),
        (b"file,a\ncaf\xe9.png,1\n", "is not a CSV file in UTF-8.*Save it anew as one"),
        ("file,a\ni0000.png,1\n".encode("utf-16-le"), "is not a CSV file in UTF-8: it holds bytes"),
        ("3\nSmiling Male\ni0000.png 1 -1\n", "line 1 says that there are 3 rows, and there are 1"),
        ("3\nSmiling Male\n", "has no row below its heading"),
        (
            'file,a\ni0000.png,"x\ni0001.png,y\ni0002.png,z\n',
            "line 2: a field that begins with a quot",
        ),
    ],
)
def test_refusals(read, text, message):
    with pytest.raises(InputError, match=message):
        read(text)


def test_what_is_no_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(InputError, match="is not a file of text"):
            read_label_file(str(path), NAMES)


def test_rows_of_no_image_are_counted_with_the_first_line(read, caplog):
    read("file,smile\n\ni0000.png,1\nother.png,0\nnone.png,1\n")
    assert "2 rows of" in caplog.text
    assert "are left out, the first in line 4" in caplog.text


def test_a_number_of_thousands_of_digits_is_a_word(read_column):
    _, classes = read_column(["2" + 5000 * "0", "1", "1", "1"])
    assert len(classes) == 2

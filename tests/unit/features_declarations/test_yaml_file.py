from __future__ import annotations

from pathlib import Path

import pytest

from features.declarations.yaml_file import DeclarationError, read_yaml


@pytest.fixture
def read(tmp_path):
    def read(text: str):
        file = tmp_path / "some.yaml"
        file.write_text(text)
        return read_yaml(file)

    return read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("21:00", "21:00"),  # YAML 1.1: 1260
        ("2024-01-01", "2024-01-01"),  # YAML 1.1: a date
        ("yes", "yes"),
        ("off", "off"),
        ("010", "010"),  # YAML 1.1: 8
        ("1_000", "1_000"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("7", 7),
        ("-7", -7),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("7d", "7d"),
        ("1.2.3", "1.2.3"),
        ("-", [None]),
        ("nul", "nul"),
    ],
)
def test_plain_scalars_mean_what_they_look_like(read, text, value):
    assert read(text) == value


def test_an_empty_file_is_none(read):
    assert read("") is None


def test_a_key_twice_is_named_with_both_lines(read):
    with pytest.raises(DeclarationError) as caught:
        read("a: 1\nb:\n  - c: 1\n    d: 2\n    c: 3\na: 2\n")
    assert [(fault.path, fault.found) for fault in caught.value.faults] == [
        ("b[0].c", "c on line 3 and again on line 5"),
        ("a", "a on line 1 and again on line 6"),
    ]


def test_an_alias_is_read_and_not_reported_again(read):
    assert read("a: &w [1, 2]\nb: *w\n") == {"a": [1, 2], "b": [1, 2]}
    with pytest.raises(DeclarationError) as caught:
        read("a: &w {x: 1, x: 2}\nb: *w\n")
    assert [fault.path for fault in caught.value.faults] == ["a.x"]


@pytest.mark.parametrize(("text", "where"), [("a: [1, 2\nb: 3\n", "line 2"), ("a: 'open\n", "line 2"), ("\tb: 3\n", "line 1")])
def test_bad_syntax_says_where(read, text, where):
    with pytest.raises(DeclarationError, match=rf"some\.yaml: {where}, column \d+: found .*, expected valid YAML; check"):
        read(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n[b, c]: 2\n", "some.yaml: found a list as a key on line 2, expected a name as each key; put text that begins with"),
        ("m:\n  title: {{first_name}}\n", "m.title: found a mapping as a key on line 2, expected a name as each key"),
        ("? [a]\n: 1\n", "found a list as a key on line 1"),
        (f"a: {'9' * 5_000}\n", "line 1, column 4: found a number of 5,000 digits, expected a value that can be read; correct it, or put"),
        ("a: !!int abc\n", 'line 1, column 4: found "abc" as int, expected a value that can be read'),
        ("a:\n- !!bool perhaps\n", 'line 2, column 3: found "perhaps" as bool'),
        ("a: !!timestamp soon\n", 'found "soon" as timestamp'),
    ],
)
def test_keys_and_values_that_python_cannot_hold_are_said_in_words_of_the_file(read, text, said):
    with pytest.raises(DeclarationError) as caught:
        read(text)
    assert said in str(caught.value)
    assert len(caught.value.faults) == 1


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(DeclarationError, match=r"gone\.yaml: found no such file, expected a file that can be read; check the path"):
        read_yaml(tmp_path / "gone.yaml")


def test_a_file_in_another_encoding_says_so(tmp_path):
    file = tmp_path / "latin.yaml"
    file.write_bytes("name: Müller".encode("latin-1"))
    with pytest.raises(DeclarationError, match=r"found bytes that are not UTF-8 \(.* at byte 7\), expected a UTF-8 text file; save it as"):
        read_yaml(file)


def test_a_folder_in_the_place_of_a_file_says_so(tmp_path):
    with pytest.raises(DeclarationError, match="found a folder, expected a file that can be read; check the path"):
        read_yaml(tmp_path)


def test_a_relative_path_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeclarationError, match=f"check the path, which counts from {tmp_path}"):
        read_yaml(Path("gone.yaml"))


def test_python_objects_are_not_made(read):
    with pytest.raises(DeclarationError, match="expected valid YAML"):
        read("a: !!python/object/apply:os.getcwd []\n")

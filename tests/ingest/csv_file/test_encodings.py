# ruff: noqa: RUF001, E501 - letters of other scripts are what this is about
"""Encodings: what is not UTF-8 is guessed, shown and asked about, and read as the request says."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.csv_file.encoding_samples import telling_samples
from services.ingest.csv_file.encodings import (
    EncodingUnknown,
    EncodingWrong,
    find_encoding,
    python_encoding,
    shown_encoding,
)
from tests.support.ingest.written_csv import written

#: Lists as clerks of these countries write them, each with the encoding that their programs save.
LISTS = {
    "windows-1252": "name,address\nHôpital Saint-Éloi,12 rue de l’Église\nKlinikum Süd,Große Straße 3\n",
    "iso-8859-15": "name,address\nHospital São João,Praça da República\nClínica Ñandú,Calle Peñón 7\n",
    "windows-1250": "name,address\nSzpital Miejski w Łodzi,ul. Żeromskiego 5\nNemocnice Děčín,Příční 2\n",
    "windows-1251": "name,address\nГородская больница,улица Ленина 5\nОбластная больница,проспект Мира 12\n",
    "windows-1253": "name,address\nΓενικό Νοσοκομείο Αθηνών,Λεωφόρος Μεσογείων 154\nΝοσοκομείο Παίδων,Θηβών 1\n",
    "shift_jis": "名称,所在地,電話番号\n東京中央病院,東京都千代田区一丁目,03-1234-5678\n大阪市民病院,大阪市北区,06-1234-5678\n",
    "euc-kr": "병원명,주소,전화번호\n서울중앙병원,서울특별시 종로구,02-123-4567\n부산시민병원,부산광역시 중구,051-123-4567\n",
    "gb18030": "医院名称,地址,电话\n北京市第一医院,北京市朝阳区建国路,010-12345678\n上海中心医院,上海市浦东新区,021-1234567\n",
    "macintosh": "name,address\nHôpital Saint-Éloi,12 rue de l’Église\nHôpital Général,3 allée des Chênes\n",
}


@pytest.mark.parametrize("encoding", LISTS)
def test_the_right_encoding_is_among_the_guesses(encoding, tmp_path):
    """By the words that it reads, since several encodings may read a file alike."""
    text = LISTS[encoding]
    with pytest.raises(EncodingUnknown) as unknown:
        find_encoding(written(tmp_path, text.encode(python_encoding(encoding))))
    guesses = unknown.value.guesses
    assert len(guesses) <= 3
    words = next(cell for cell in text.replace("\n", ",").split(",") if not cell.isascii())
    assert any(guess.sample.startswith(words) for guess in guesses), guesses


def test_a_sample_shows_the_cells_that_are_not_ascii(tmp_path):
    """By these a person can tell."""
    with pytest.raises(EncodingUnknown) as unknown:
        find_encoding(written(tmp_path, "name;address\nSt. Mary;1 Main\nCafé;Straße\n".encode("cp1252")))
    best = unknown.value.guesses[0]
    assert (best.encoding, best.sample) == ("windows-1252", "Café, Straße")


@pytest.mark.parametrize("encoding", LISTS)
def test_no_two_guesses_show_the_same_words(encoding, tmp_path):
    """Else nobody could choose."""
    with pytest.raises(EncodingUnknown) as unknown:
        find_encoding(written(tmp_path, LISTS[encoding].encode(python_encoding(encoding))))
    samples = [guess.sample for guess in unknown.value.guesses]
    assert len(set(samples)) == len(samples), samples


def test_what_tells_the_guesses_apart_is_shown_wherever_it_stands(tmp_path):
    """Windows-1252 and 1250 have the same é and ö, and another ñ: far down, in the middle of a long cell."""
    text = "name,address\n" + "Café,Köln\n" * 500 + "Klinik," + "Straße " * 30 + "Peña " + "ö" * 60 + "\n"
    with pytest.raises(EncodingUnknown) as unknown:
        find_encoding(written(tmp_path, text.encode("cp1252")))
    first, second, *_ = unknown.value.guesses
    assert first.sample.startswith("Café, Köln, \u2026")
    assert "Peña" in first.sample
    assert (second.encoding, "Peńa" in second.sample) == ("windows-1250", True)
    assert all(len(guess.sample) < 140 for guess in unknown.value.guesses)


@given(st.lists(st.text(min_size=1, max_size=60), min_size=2, max_size=4, unique=True), st.integers(0, 30))
def test_different_readings_have_different_samples(endings, lines):
    """Of as many lines each, since a line end is one in every encoding."""
    kept = {"é" + re.sub(r"[\s,;\"]", "", ending) for ending in endings}
    texts = ["Größe,b\n" * lines + ending for ending in sorted(kept)]
    assert len(set(telling_samples(texts))) == len(texts)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("windows-874", "cp874"), ("sjis", "cp932"), ("ms949", "cp949"), ("macintosh", "mac-roman"), ("GBK", "gb18030")],
)
def test_an_encoding_may_have_other_names(name, codec):
    """Those of browsers and of spreadsheets; real files hold the larger set of letters."""
    assert python_encoding(name) == codec


@pytest.mark.parametrize("encoding", LISTS)
def test_what_the_request_names_is_how_it_is_read(encoding, tmp_path):
    """By the names that the guesses have."""
    content = LISTS[encoding].encode(python_encoding(encoding))
    path = written(tmp_path, content)
    codec = find_encoding(path, python_encoding(encoding))
    assert path.read_text(codec) == LISTS[encoding]
    assert python_encoding(shown_encoding(codec)) == codec


def test_a_wrong_choice_is_told_with_guesses(tmp_path):
    """So that the next one is right."""
    path = written(tmp_path, "name,address\nCafé,1\n".encode("cp1252"))
    with pytest.raises(EncodingWrong, match="not in euc-kr") as wrong:
        find_encoding(path, python_encoding("euc-kr"))
    assert wrong.value.guesses[0].encoding == "windows-1252"


def test_a_mark_goes_before_the_request_unless_it_lies(tmp_path):
    """Two files joined by a program: the mark of the first, the letters of the second."""
    good = written(tmp_path, "\ufeffname\nCafé\n".encode())
    assert find_encoding(good, "cp1252") == "utf-8-sig"
    lying = written(tmp_path, b"\xef\xbb\xbfname\nCaf\xe9\n")
    with pytest.raises(EncodingUnknown):
        find_encoding(lying)
    assert find_encoding(lying, "cp1252") == "cp1252"


@pytest.mark.parametrize(
    "name", ["", "x", "hex", "rot13", "zip", "idna", "punycode", "unicode_escape", "undefined", "utf-7", "a" * 999]
)
def test_what_is_no_encoding_of_a_file_is_none(name):
    """Python has codecs that are something else."""
    assert python_encoding(name) is None


@given(st.binary(min_size=1, max_size=200), st.integers(1, 9))
def test_any_bytes_are_read_or_refused(shared_directory, content, size):
    """And what is read can be read to its end."""
    path = written(shared_directory, content)
    with suppress(EncodingUnknown):
        path.read_text(find_encoding(path, chunk_bytes=size))


@pytest.fixture(scope="module")
def shared_directory(tmp_path_factory):
    """One directory for all examples of a test."""
    return tmp_path_factory.mktemp("encodings")

"""Public lists of hospitals of five countries, rebuilt with their columns and encodings. The content is invented."""

import csv
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from services.ingest.csv_file.encodings import python_encoding
from tests.support.ingest.written_csv import csv_bytes

Hospital = tuple[str, str, str]


class PublicFile(NamedTuple):
    """A list. `hospitals`: name, address and phone of each row, as the directory has to be told of them."""

    name: str
    content: bytes
    hospitals: Sequence[Hospital]
    #: What a person answers to the one question, where there is one: the words that read right.
    reads_right: str | None = None
    #: What it is called, by which they read so.
    encoding: str | None = None
    #: What a person has to say of a file without a header: the columns by their letters.
    letters: Mapping[str, Sequence[str]] = {}

    @property
    def options(self) -> list[str]:
        """The same on a command line."""
        named = [f"{field}={letter}" for field, letters in self.letters.items() for letter in letters]
        words = [word for name in named for word in ("--map", name)]
        return ["--header-row", "0", *words] if words else []


def _columns(names: str) -> list[str]:
    return names.split(",")


_HIFLD: Final = _columns(
    "X,Y,OBJECTID,ID,NAME,ADDRESS,CITY,STATE,ZIP,ZIP4,TELEPHONE,TYPE,STATUS,POPULATION,COUNTY,COUNTYFIPS,COUNTRY,"
    "LATITUDE,LONGITUDE,NAICS_CODE,NAICS_DESC,SOURCE,SOURCEDATE,VAL_METHOD,VAL_DATE,WEBSITE,STATE_ID,ALT_NAME,ST_FIPS,"
    "OWNER,TTL_STAFF,BEDS,TRAUMA,HELIPAD"
)
_CMS: Final = _columns(
    "Facility ID,Facility Name,Address,City/Town,State,ZIP Code,County/Parish,Telephone Number,Hospital Type,"
    "Hospital Ownership,Emergency Services,Meets criteria for birthing friendly designation,Hospital overall rating,"
    "Hospital overall rating footnote,MORT Group Measure Count,Count of Facility MORT Measures"
)
#: The standard data set of Japanese municipalities.
_JAPAN: Final = _columns(
    "都道府県コード又は市区町村コード,NO,都道府県名,市区町村名,名称,名称_カナ,名称_英語,医療機関の種類,住所,方書,緯度,経度,"
    "電話番号,内線番号,FAX番号,法人番号,法人の名称,医療機関コード,診療曜日,診療開始時間,診療終了時間,備考"
)
_KOREA: Final = _columns(
    "암호화요양기호,요양기관명,종별코드,종별코드명,시도코드,시도코드명,시군구코드,시군구코드명,읍면동,우편번호,주소,전화번호,"
    "병원홈페이지,개설일자,총의사수,좌표(X),좌표(Y)"
)


def _table(header: Sequence[str], filled: Mapping[str, Sequence[str]], other: str) -> list[list[str]]:
    """Rows with these columns filled; `other` stands in all the others."""
    rows = zip(*filled.values(), strict=True)
    return [[dict(zip(filled, row, strict=True)).get(column, other) for column in header] for row in rows]


def _hifld() -> PublicFile:
    hospitals = [
        (f"EXAMPLE REGIONAL MEDICAL CENTER {n}", f"{n}00 N SAMPLE ST, SUITE {n}", f"(555) 010-09{n:02d}")
        for n in range(1, 6)
    ]
    names, addresses, phones = zip(*hospitals, strict=True)
    filled = {"NAME": names, "ADDRESS": addresses, "TELEPHONE": phones, "ZIP": ["01234"] * 5, "CITY": ["KINGSPORT"] * 5}
    rows = _table(_HIFLD, filled, "NOT AVAILABLE")
    return PublicFile("Hospitals_HIFLD.csv", csv_bytes([_HIFLD, *rows], mark=True), hospitals)


def _cms() -> PublicFile:
    hospitals = [(f"SAMPLE HEALTH, INC. #{n}", f"{n} EXAMPLE CIRCLE WEST", f"(555) 793-87{n:02d}") for n in range(1, 6)]
    names, addresses, phones = zip(*hospitals, strict=True)
    filled = {"Facility Name": names, "Address": addresses, "Telephone Number": phones, "State": ["AL"] * 5}
    rows = _table(_CMS, filled, "")
    return PublicFile("Hospital_General_Information.csv", csv_bytes([_CMS, *rows], quoting=csv.QUOTE_ALL), hospitals)


def _nhs() -> PublicFile:
    """Without a header: code, name, two groupings, five lines of address, postcode, dates, types, phone in column R."""
    lines = [("EXAMPLE HOUSE", "1 SAMPLE LANE", "", "SAMPLETOWN", ""), ("HEAD OFFICE", "SAMPLE HILL", "", "HULL", "ER")]
    rows = [
        [f"X{n}A", f"EXAMPLE AND SAMPLE TRUST {n}", "Y00", "QXX", *lines[n], f"ZZ{n} 1ZZ", *[""] * 7, f"01482 0000{n}"]
        for n in range(2)
    ]
    rows = [[*row, "", "", "", "0", "", "", "", "", ""] for row in rows]
    hospitals = [(row[1], ", ".join(filter(None, row[4:10])), row[17]) for row in rows]
    letters = {"name": ["B"], "address": ["E", "F", "G", "H", "I", "J"], "phone": ["R"]}
    return PublicFile("etr.csv", csv_bytes(rows, quoting=csv.QUOTE_ALL), hospitals, letters=letters)


def _japan() -> PublicFile:
    hospitals = [
        (f"見本市立総合病院第{n}分院", f"見本県見本市中央町{n}丁目1-{n}", f"000-555-120{n}") for n in range(1, 4)
    ]
    names, addresses, phones = zip(*hospitals, strict=True)
    filled = {"名称": names, "住所": addresses, "電話番号": phones, "FAX番号": ["000-555-9999"] * 3}
    content = csv_bytes([_JAPAN, *_table(_JAPAN, filled, "")]).decode().encode("cp932")
    return PublicFile("医療機関一覧.csv", content, hospitals, reads_right="市区町村名", encoding="shift_jis")


def _korea() -> PublicFile:
    hospitals = [
        (f"가나다의료재단견본병원{n}", f"견본특별시 견본구 견본로 {n}0", f"02-555-010{n}") for n in range(1, 4)
    ]
    names, addresses, phones = zip(*hospitals, strict=True)
    filled = {"요양기관명": names, "주소": addresses, "전화번호": phones, "우편번호": ["01234"] * 3}
    rows = _table(_KOREA, filled, "1")
    content = csv_bytes([_KOREA, *rows]).decode().encode(python_encoding("euc-kr") or "")
    return PublicFile("병원정보서비스.csv", content, hospitals, reads_right="요양기관명", encoding="euc-kr")


PUBLIC_FILES: Final = [_hifld(), _cms(), _nhs(), _japan(), _korea()]

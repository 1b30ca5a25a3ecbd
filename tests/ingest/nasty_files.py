"""Files that people and programs really send, and some that only an enemy would, each with the answer it must get."""

from typing import NamedTuple

from tests.support.ingest.written_csv import csv_bytes

GOOD = b"name,address,phone\n"
HEADER = "name,address,phone\n"


class NastyFile(NamedTuple):
    """A file by what is nasty about it."""

    what: str
    content: bytes
    status: int
    #: In the detail or in one of the errors; in no particular place.
    words: str = ""
    file_name: str = "hospitals.csv"


def _rows(*lines: str) -> bytes:
    return (HEADER + "\n".join(lines) + "\n").encode()


ACCEPTED = [
    NastyFile("a byte order mark", b"\xef\xbb\xbfname,address\na,b\n", 202),
    NastyFile("no line end at the end", b"name,address\na,b", 202),
    NastyFile("line ends of old Macs", b"name,address\ra,b\rc,d\r", 202),
    NastyFile("line ends of Windows", b"name,address\r\na,b\r\n", 202),
    NastyFile("all three line ends", b"name,address\r\na,b\nc,d\re,f\n", 202),
    NastyFile("semicolons", b"name;address\na;b, c\n", 202),
    NastyFile("tabs", b"name\taddress\na\tb, c; d\n", 202),
    NastyFile("upper case header", b"NAME,ADDRESS,PHONE\na,b,1\n", 202),
    NastyFile("columns in another order", b"phone,address,name\n1,b,a\n", 202),
    NastyFile("blank lines everywhere", b"\n\nname,address\n\na,b\n\n\nc,d\n\n", 202),
    NastyFile("rows of delimiters only", b"name,address\na,b\n,\n,\n", 202),
    NastyFile("trailing delimiters", b"name,address,,\na,b,,\n", 202),
    NastyFile("quotes inside quotes", b'name,address\n"St. ""Mary""",b\n', 202),
    NastyFile("line breaks inside quotes", b'name,address\n"a\r\nb","c\nd"\n', 202),
    NastyFile("delimiters inside quotes", b'name,address\n"a, b; c\td","e, f"\n', 202),
    NastyFile("quotes inside a plain field", b'name,address\n12" Clinic,b\n', 202),
    NastyFile("an apostrophe first", b"name,address\n'a,b\n", 202),
    NastyFile("formulas", b"name,address\n=1+1,@SUM(A1)\n", 202),
    NastyFile("HTML", b"name,address\n<script>alert(1)</script>,<b>\n", 202),
    NastyFile("SQL", b"name,address\nRobert'); DROP TABLE hospitals;--,b\n", 202),
    NastyFile("JSON in a cell", b'name,address\n"{""a"": [1]}",b\n', 202),
    NastyFile("backslashes", b"name,address\na\\nb\\,c\\\n", 202),
    NastyFile("scripts from right to left", "name,address\nمستشفى,רחוב\n".encode(), 202),
    NastyFile("emoji of several code points", "name,address\n👩‍⚕️🏥,b\n".encode(), 202),
    NastyFile("combining letters by the dozen", ("name,address\nZ" + "\u0301" * 500 + ",b\n").encode(), 202),
    NastyFile("line separators that are none here", "name,address\na\u2028b\u2029c,d\n".encode(), 202),
    NastyFile("no-break spaces around values", "name,address\n\u00a0a\u00a0,b\n".encode(), 202),
    NastyFile("characters outside the basic plane", "name,address\n𐌰𐌱𐌲,𠜎\n".encode(), 202),
    NastyFile("a field of full length", b"name,address\n" + b"x" * 1000 + b",b\n", 202),
    NastyFile("a result file sent back", b"name,address,result_status,result_error\na,b,failed,=oops\n", 202),
    NastyFile("two result columns of one name", b"name,address,result_x,result_x\na,b,1,2\n", 202),
    NastyFile("hundreds of columns", csv_bytes([["name", "address", *map(str, range(900))], ["a", "b"]]), 202),
    NastyFile("a path in the file name", b"name,address\na,b\n", 202, file_name="../../etc/passwd.csv"),
    NastyFile("a Windows path in the file name", b"name,address\na,b\n", 202, file_name="C:\\temp\\a.csv"),
    NastyFile("a very long file name", b"name,address\na,b\n", 202, file_name="x" * 200 + ".csv"),
    NastyFile("another name of a column", b"hospital,address\na,b\n", 202),
    NastyFile("UTF-16 with a mark", "name,address\na,b\n".encode("utf-16"), 202),
    NastyFile("UTF-16 without a mark", "name,address\na,b\n".encode("utf-16-le"), 202),
    NastyFile("UTF-16 of the other order", "name,address\na,b\n".encode("utf-16-be"), 202),
    NastyFile("UTF-32", "name,address\na,b\n".encode("utf-32"), 202),
    NastyFile("a value without a column name", b"name,,address\na,x,b\n", 202),
    NastyFile("a line of Excel that names the delimiter", b"sep=;\r\nname;address\r\na;b, c\r\n", 202),
    NastyFile("a title above the header", b"Hospitals of the north\n\nname,address\na,b\n", 202),
    NastyFile("a space before each quote", b'name, "address"\na, "b, c"\n', 202),
    NastyFile("invisible signs in the header", "\u200bname\u200b,\ufeffaddress\na,b\n".encode(), 202),
    NastyFile("a file name in capitals", b"name,address\na,b\n", 202, file_name="HOSPITALS.CSV"),
]
REFUSED = [
    NastyFile("nothing at all", b"", 400, "The file is empty."),
    NastyFile("only a byte order mark", b"\xef\xbb\xbf", 400, "The file is empty."),
    NastyFile("only blank lines", b"\n\r\n\n,,,\n", 400, "The file is empty."),
    NastyFile("only a header", b"name,address\n", 400, "no rows"),
    NastyFile("a header and blank lines", b"name,address\n\n,\n", 400, "no rows"),
    NastyFile("no header", b"St. Mary,1 Main St,555\n", 400, "looks like data"),
    NastyFile("two columns of one name", b"name,address,Name\na,b,c\n", 400, "2 columns called 'name'"),
    NastyFile("Latin-1", "name,address\nCafé,b\n".encode("latin-1"), 400, "not UTF-8"),
    NastyFile("overlong UTF-8", b"name,address\n\xc0\xaf,b\n", 400, "not UTF-8"),
    NastyFile("a surrogate in UTF-8", b"name,address\n\xed\xa0\x80,b\n", 400, "not UTF-8"),
    NastyFile("a character cut in two", b"name,address\na,\xe2\x82", 400, "not UTF-8"),
    NastyFile("a NUL", _rows("a\x00b,c,1"), 400, "invisible control character"),
    NastyFile("only NULs", b"\x00" * 5000, 400, "No column looks like"),
    NastyFile("an escape sequence", _rows("\x1b[2Ja,b,1"), 400, "invisible control character"),
    NastyFile("a quote that is never closed", _rows('"a,b,1', "c,d,1"), 400, "begins on line 2 is never closed"),
    NastyFile("a quote closed too late", _rows('"a,b,1', '"c",d,1'), 400, "line 2 ends on line 3"),
    NastyFile("text after a closing quote", _rows('"a" b,c,1'), 400, "text follows a closing quote"),
    NastyFile("an open header", b'"name,address\na,b\n', 400, "never closed"),
    NastyFile("too many fields", _rows("a,b,1,2"), 400, "4 fields, the header 3"),
    NastyFile("too few fields", _rows("a"), 400, "The address is missing."),
    NastyFile("a blank name", _rows("  ,b,1"), 400, "The name is missing."),
    NastyFile("a name of invisible spaces", "name,address\n\u2003\u00a0,b\n".encode(), 400, "The name is missing."),
    NastyFile("words for a phone", _rows("a,b,call us"), 400, "is not a phone number"),
    NastyFile("a field too long", _rows("x" * 1001 + ",b,1"), 400, "1,001 characters"),
    NastyFile("the same row twice", _rows("a,b,1", "c,d,1", "A , B,1"), 400, "as in row 2"),
    NastyFile("a field of a megabyte", _rows("x" * 1_000_000 + ",b,1"), 400, "a closing quote missing"),
    NastyFile("a quoted field of a megabyte", _rows('"' + "x\n" * 500_000 + '",b,1'), 400, "a closing quote missing"),
    NastyFile("a million columns", b"name,address" + b",x" * 1_000_000 + b"\na,b\n", 400, "100,000 characters"),
    NastyFile("more columns than are read", b"name,address" + b",x" * 1_000 + b"\na,b\n", 400, "1,002 columns"),
    NastyFile("two thousand bad rows", _rows(*[",b,1"] * 2000), 400, "2,000 errors"),
    NastyFile("one line without any sense", b"\xf0\x9f\x8f\xa5" * 3000, 400, "No column looks like"),
    NastyFile("an Excel workbook", b"PK\x03\x04" + b"\x00" * 100, 415, "neither a CSV nor a workbook"),
    NastyFile("an old Excel workbook", b"\xd0\xcf\x11\xe0" + b"\x00" * 100, 415, "neither a CSV nor a workbook"),
    NastyFile("a PDF called CSV", b"%PDF-1.7 ...", 415, "a PDF document"),
    NastyFile("a picture called CSV", b"\x89PNG\r\n\x1a\n", 415, "a picture"),
    NastyFile("a compressed CSV", b"\x1f\x8b\x08\x00", 415, "a gzip archive"),
    NastyFile(
        "a file that calls itself a picture", b"name,address\na,b\n", 415, "neither a CSV nor a workbook", "a.png"
    ),
    NastyFile(
        "a file that calls itself a program", b"name,address\na,b\n", 415, "neither a CSV nor a workbook", "a.csv.exe"
    ),
]
ALL = [*ACCEPTED, *REFUSED]

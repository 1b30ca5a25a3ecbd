"""The names that columns have in the files of hospitals, in ten languages, and which column each of them means."""

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final

_REMARK: Final = re.compile(r"\([^)]*\)?|\[[^\]]*\]?")


class HospitalField(StrEnum):
    """What the directory is told about a hospital."""

    NAME = "name"
    ADDRESS = "address"
    PHONE = "phone"


REQUIRED: Final = (HospitalField.NAME, HospitalField.ADDRESS)

#: By field and language. Case, accents, punctuation and spaces do not count, nor does what stands in brackets.
_KNOWN: Final[Mapping[HospitalField, Mapping[str, str]]] = {
    HospitalField.NAME: {
        "en": "hospital, hospital name, name of hospital, hospital title, facility, facility name, name of facility, "
        "institution, institution name, organisation, organisation name, organization, organization name, provider, "
        "provider name, clinic, clinic name, medical centre, medical center, medical center name, health facility, "
        "site name, trust name, practice name, title, full name, official name",
        "de": "krankenhaus, krankenhausname, name des krankenhauses, klinik, klinikname, name der klinik, spital, "
        "einrichtung, einrichtungsname, name der einrichtung, bezeichnung, haus",
        "fr": "nom, hopital, nom hopital, nom de l'hopital, etablissement, nom etablissement, nom de l'etablissement, "
        "clinique, raison sociale, denomination",
        "es": "nombre, nombre hospital, nombre del hospital, nombre centro, nombre del centro, establecimiento, "
        "nombre establecimiento, nombre del establecimiento, clinica, razon social, denominacion",
        "pt": "nome, nome hospital, nome do hospital, estabelecimento, nome do estabelecimento, instituicao, "
        "nome da instituicao, unidade, nome da unidade, nome fantasia, razao social",
        "it": "ospedale, nome ospedale, nome dell'ospedale, struttura, nome struttura, denominazione, "
        "denominazione struttura, denominazione ospedale, presidio",
        "nl": "naam, ziekenhuis, ziekenhuisnaam, naam ziekenhuis, naam van het ziekenhuis, instelling, "
        "naam instelling, instellingsnaam",
        "ja": "名称, 名前, 病院, 病院名, 病院名称, 施設名, 施設名称, 施設の名称, 正式名称, 医療機関, 医療機関名, "
        "医療機関名称",
        "ko": "이름, 명칭, 병원, 병원명, 병원이름, 기관명, 의료기관명, 요양기관명, 시설명, 사업장명, 상호",
        "zh": "名称, 名稱, 名字, 医院, 醫院, 医院名, 医院名称, 醫院名稱, 机构名称, 機構名稱, 单位名称, 單位名稱",
    },
    HospitalField.ADDRESS: {
        "en": "addr, adress, addres, addresse, street, street address, full address, hospital address, "
        "facility address, location, location address, mailing address, postal address, site address, address 1, "
        "address line 1, address line, addr 1",
        "de": "adresse, anschrift, strasse, strasse hausnummer, strasse und hausnummer, strasse nr, postanschrift",
        "fr": "adresse, adresse postale, adresse complete, adresse 1, rue",
        "es": "direccion, direccion postal, direccion completa, domicilio, calle",
        "pt": "endereco, endereco completo, morada, logradouro, rua",
        "it": "indirizzo, indirizzo completo, via",
        "nl": "adres, bezoekadres, vestigingsadres, straat, straatnaam, straat en huisnummer",
        "ja": "住所, 所在地, 所在地住所, 病院所在地, 施設所在地",
        "ko": "주소, 소재지, 소재지주소, 도로명주소, 전체주소, 도로명전체주소, 소재지도로명주소",
        "zh": "地址, 医院地址, 醫院地址, 详细地址, 詳細地址, 机构地址, 機構地址, 住址",
    },
    HospitalField.PHONE: {
        "en": "telephone, tel, phone number, phone no, phone num, phone 1, telephone number, telephone no, tel no, "
        "tel number, contact number, contact no, contact phone, hospital phone, main phone, office phone, mobile, "
        "mobile number, mobile no, cell, cell phone",
        "de": "telefon, telefonnummer, telefonnr, telefon nr, tel nr, rufnummer, fon, handy, mobil, zentrale",
        "fr": "tel, telephone, numero de telephone, numero telephone, no de telephone, no telephone, portable",
        "es": "telefono, numero de telefono, numero telefono, telefono de contacto, telefono 1, celular, movil",
        "pt": "telefone, numero de telefone, telefone de contato, fone, telemovel, celular",
        "it": "telefono, numero di telefono, numero telefono, recapito telefonico, cellulare, centralino",
        "nl": "telefoon, telefoonnummer, telnr, mobiel",
        "ja": "電話, 電話番号, 代表電話, 代表電話番号, 連絡先, 連絡先電話番号",
        "ko": "전화, 전화번호, 대표전화, 대표전화번호, 연락처, 소재지전화",
        "zh": "电话, 電話, 电话号码, 電話號碼, 联系电话, 聯絡電話, 联系方式, 手机",
    },
}
#: Parts of an address that lists keep in columns of their own.
_PLACES: Final = (
    "city, town, citytown, municipality, state, province, region, county, countyparish, district, zip, zip code, "
    "postcode, post code, postal code, country, address 2, address line 2, address 3, "
    "ort, stadt, plz, postleitzahl, bundesland, land, ville, commune, code postal, departement, pays, ciudad, "
    "municipio, localidad, provincia, codigo postal, pais, cidade, bairro, uf, estado, cep, citta, comune, cap, "
    "plaats, woonplaats, postcode, gemeente, provincie, 市区町村, 都道府県, 郵便番号, 시도, 시군구, 우편번호, "
    "城市, 省份, 邮编, 郵遞區號"
)


@lru_cache(maxsize=4096)
def folded_name(name: str) -> str:
    """A column's name without case, accents, punctuation and spaces: `Hôpital_Name:` and `hopital name` are alike."""
    apart = unicodedata.normalize("NFKD", name).casefold()
    return unicodedata.normalize("NFC", "".join(sign for sign in apart if sign.isalnum()))


def _field_of() -> dict[str, HospitalField]:
    return {
        folded_name(name): field
        for field, languages in _KNOWN.items()
        for names in languages.values()
        for name in names.split(",")
    }


_EXACT: Final = frozenset(HospitalField)
_FIELD_OF: Final = _field_of()
_PLACE_NAMES: Final = frozenset(folded_name(name) for name in _PLACES.split(","))


def plain_field(name: str) -> HospitalField | None:
    """The field that a column is called, but for case and spaces around it."""
    plain = name.strip().casefold()
    return HospitalField(plain) if plain in _EXACT else None


@lru_cache(maxsize=4096)
def exact_field(name: str) -> HospitalField | None:
    """The field that a column is named after: `Name *` and `Phone (digits)` are."""
    return next((HospitalField(folded) for folded in _forms(name) if folded in _EXACT), None)


@lru_cache(maxsize=4096)
def known_field(name: str) -> HospitalField | None:
    """The field that a column of this name usually holds: `TELEPHONE` holds `phone`."""
    return exact_field(name) or next((_FIELD_OF[folded] for folded in _forms(name) if folded in _FIELD_OF), None)


def is_place(name: str) -> bool:
    """Whether the column looks like a part of the address: `City/Town`."""
    return any(folded in _PLACE_NAMES for folded in _forms(name))


def _forms(name: str) -> tuple[str, str]:
    return folded_name(name), folded_name(_REMARK.sub(" ", name))

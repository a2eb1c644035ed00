"""Normalisation: every spelling of a number is that number, and nothing else becomes it."""

import hmac
import string

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.numbers import Number, Numbering, NumberKind, is_emergency_uri, mask, number_id
from scoring.numbers.number import text_key
from scoring.numbers.numbering import PROTECTED

CN = Numbering(short_codes=["1001"])

MOBILES = st.integers(13_000_000_000, 19_999_999_999).map(str)


@pytest.mark.parametrize(
    ("text", "display"),
    [
        ("+8613800138000", "+8613800138000"),
        ("13800138000", "+8613800138000"),
        ("8613800138000", "+8613800138000"),
        ("008613800138000", "+8613800138000"),
        ("0013800138000", "+8613800138000"),  # 00 before a national number, not North America
        ("+86 138-0013-8000", "+8613800138000"),
        ("%2B8613800138000", "+8613800138000"),
        ("sip:+8613800138000@carrier.example;user=phone", "+8613800138000"),
        ('"Li" <sip:13800138000@carrier.example>;tag=1', "+8613800138000"),
        ("+8613800138000;npdi;rn=+8613", "+8613800138000"),
        ("tel:+86-138-0013-8000", "+8613800138000"),
        ("tel:8000;phone-context=+861380013", "+8613800138000"),
        ("1795113800138000", "+8613800138000"),  # carrier selection
        ("+861795113800138000", "+8613800138000"),
        ("02085551234", "+862085551234"),
        ("+86 (0)20 8555 1234", "+862085551234"),
        ("4008001234", "+864008001234"),
        ("00442071838750", "+442071838750"),
        ("442071838750", "+442071838750"),
        ("+99912345678", "+99912345678"),  # no such country, yet a number one can list
        ("95588", "95588"),
        ("01095588", "95588"),
        ("12306", "12306"),
        ("1001", "1001"),
        ("", "anonymous"),
        ("Anonymous", "anonymous"),
        ("sip:anonymous@anonymous.invalid", "anonymous"),
        ("12345678", "12345678"),
        ("alice", "unknown"),
        ("１１０", "unknown"),
        ("١١٠", "unknown"),
        ("+", "unknown"),
        ("110x", "unknown"),
        ("110\n", "unknown"),
    ],
)
def test_spellings(text: str, display: str) -> None:
    number = CN.normalise(text)
    assert number.display == display
    assert number.raw == text


PREFIXES = (
    "",
    "+86",
    "0086",
    "86",
    "+",
    "00",
    "0",
    "010",
    "0755",
    "+8610",
    "+86755",
    "008610",
    "+86010",
    "17951",
)


SPELLINGS = [
    (prefix, code)
    for prefix in PREFIXES
    for code in sorted(PROTECTED)
    if prefix != "86" or len(code) == 3  # 86 and five digits is a seven-digit subscriber number
]


@pytest.mark.parametrize(("prefix", "code"), SPELLINGS)
def test_every_spelling_of_a_protected_number_is_protected(prefix: str, code: str) -> None:
    number = CN.normalise(prefix + code)
    assert (number.kind, number.digits, number.protected) == (NumberKind.SHORT_CODE, code, True)


@pytest.mark.parametrize(
    ("uri", "digits"),
    [("urn:service:sos", "112"), ("URN:service:SOS.police", "110"), ("<urn:service:sos.fire>", "119")],
)
def test_emergency_urns(uri: str, digits: str) -> None:
    assert is_emergency_uri(uri)
    number = CN.normalise(uri)
    assert (number.digits, number.protected) == (digits, True)


@pytest.mark.parametrize("uri", ["urn:service:counseling", "urn:service:sosx", "sip:sos@example.com", ""])
def test_other_urns(uri: str) -> None:
    assert not is_emergency_uri(uri)
    assert not CN.normalise(uri).protected


@given(MOBILES)
def test_no_mobile_number_is_ever_read_as_a_short_code(digits: str) -> None:
    for spelling in (digits, "+86" + digits, "0086" + digits, "86" + digits, "0" + digits):
        number = CN.normalise(spelling)
        assert number.kind is not NumberKind.SHORT_CODE
        assert not number.protected


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_valid_numbers_of_the_world(region: str) -> None:
    for number_type in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
        example = phonenumbers.example_number_for_type(region, number_type)
        if example is None:
            continue
        text = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        assert CN.normalise(text).display == text
        assert CN.normalise("00" + text[1:]).display == text
        written = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.RFC3966)
        assert CN.normalise(written).display == text


@given(st.text(max_size=300) | st.text(alphabet=string.digits + "+-.() ;=@:<>%*#", max_size=60))
def test_anything_normalises_to_something_stable(text: str) -> None:
    number = CN.normalise(text)
    assert number.digits.isascii()
    if number.key:
        assert text_key(number.display) == number.key
        assert CN.normalise(number.display).key == number.key


@given(st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True), st.from_regex(r"[0-9]{1,14}", fullmatch=True))
def test_keys_are_never_shared(full: str, local: str) -> None:
    number, code = Number(NumberKind.E164, full), Number(NumberKind.SHORT_CODE, local)
    assert number.key != code.key
    assert 0 < number.key < 1 << 51
    assert 0 < code.key < 1 << 51
    assert code.key != Number(NumberKind.SHORT_CODE, "0" + local[:13]).key


def test_equal_numbers_are_equal_whatever_they_came_from() -> None:
    assert CN.normalise("+8613800138000") == CN.normalise("tel:13800138000")
    assert len({CN.normalise("110"), CN.normalise("010110")}) == 1


def test_long_texts_do_not_fill_the_cache() -> None:
    numbering = Numbering()
    assert numbering.normalise("-" * 5000 + "110").protected
    assert numbering._cached.cache_info().currsize == 0


def test_short_codes_are_digits() -> None:
    with pytest.raises(ValueError, match="12a"):
        Numbering(short_codes=["12a"])


def test_another_region() -> None:
    gb = Numbering("GB", "44", protected=["999", "112", "101"])
    assert gb.normalise("999").protected
    assert gb.normalise("02071838750").display == "+442071838750"
    assert not gb.normalise("110").protected


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("13800138000", "138****8000"),
        ("02085551234", "208****1234"),
        ("+442071838750", "+4420****8750"),
        ("110", "110"),
        ("12345678", "12****78"),
        ("anonymous", "anonymous"),
    ],
)
def test_mask(text: str, masked: str) -> None:
    assert mask(CN.normalise(text)) == masked


@given(MOBILES.map(lambda digits: "+86" + digits))
def test_masks_hide_at_least_four_digits(text: str) -> None:
    assert sum(map(str.isdigit, mask(CN.normalise(text)))) <= 7


@pytest.mark.parametrize("length", [1, 32, 64, 65, 200])
def test_number_id_is_an_hmac_cut_short(length: int) -> None:
    key = bytes(range(length))
    wanted = hmac.new(key, b"lab\0+8613800138000", "sha256").hexdigest()[:32]
    for _ in range(2):
        assert number_id(key, "lab", CN.normalise("+8613800138000")) == wanted


def test_number_id_depends_on_key_tenant_and_number_and_not_on_spelling() -> None:
    number = CN.normalise("13800138000")
    found = number_id(b"k", "lab", number)
    assert found == number_id(b"k", "lab", CN.normalise("+86 138 0013 8000"))
    assert len(found) == 32
    others = (
        number_id(b"x", "lab", number),
        number_id(b"k", "other", number),
        number_id(b"k", "lab", CN.normalise("110")),
    )
    assert len({found, *others}) == 4


@pytest.mark.parametrize("text", ["17951" * 1500 + "110", "+86" + "0" * 9000 + "110", "1" * 20_000])
def test_long_texts_are_no_numbers(text: str) -> None:
    assert CN.normalise(text).kind is CN.of_user(text).kind is NumberKind.UNKNOWN


@pytest.mark.parametrize("user", ["110", "+86110", "1-1-0", "110;phone-context=+86", "010110"])
def test_a_user_part_is_read_as_it_is_dialled(user: str) -> None:
    assert CN.of_user(user) == CN.normalise(user)
    assert CN.of_user(user).protected


@pytest.mark.parametrize(
    "user",
    [
        "13900000000<110>",
        "110:13900000000",
        "110@13900000000",
        "%31%31%30",
        "sip:110@x",
        "tel:110",
        "urn:service:sos",
        '"110" <sip:13900000000>',
    ],
)
def test_nothing_is_read_into_a_user_part(user: str) -> None:
    """Whoever gets the forwarded request may read it otherwise, and be called unscreened."""
    assert CN.of_user(user).kind is NumberKind.UNKNOWN
    assert not CN.of_user(user).protected


def test_a_context_is_digits_or_none() -> None:
    assert CN.normalise("tel:8000;phone-context=+86x").display == CN.normalise("8000").display

//! `Content-Length` and `Transfer-Encoding`.

use super::{BAD, Case, fields, head};

pub(crate) fn cases() -> Vec<Case> {
    const LENGTH: &str = "9110 8.6";
    const CODING: &str = "9112 6.1";
    const BOTH: &str = "9112 6.3";
    const CODED: &[u16] = &[400, 501];
    let te =
        |name, value: &[u8]| fields(name, CODING, &[b"Transfer-Encoding: ", value].concat(), CODED);
    let cl = |name, value: &[u8]| fields(name, LENGTH, &[b"Content-Length: ", value].concat(), BAD);
    vec![
        fields("length, then chunked", BOTH, b"Content-Length: 5\r\nTransfer-Encoding: chunked", BAD),
        fields("chunked, then length", BOTH, b"Transfer-Encoding: chunked\r\nContent-Length: 5", BAD),
        fields("length 0 and chunked", BOTH, b"Content-Length: 0\r\nTransfer-Encoding: chunked", BAD),
        fields("length and identity", BOTH, b"Content-Length: 5\r\nTransfer-Encoding: identity", BAD),
        fields("length and an empty coding", BOTH, b"Content-Length: 5\r\nTransfer-Encoding:", BAD),
        fields("length and a coding nobody knows", BOTH, b"Content-Length: 5\r\nTransfer-Encoding: x", CODED),
        fields("the same length twice", BOTH, b"Content-Length: 5\r\nContent-Length: 5", BAD),
        fields("two lengths", BOTH, b"Content-Length: 5\r\nContent-Length: 6", BAD),
        fields("two lengths in other case", BOTH, b"Content-Length: 5\r\ncontent-length: 0", BAD),
        cl("a list of one length", b"5, 5"),
        cl("a list of two lengths", b"5, 6"),
        cl("a list with an empty member", b"5,"),
        cl("a sign", b"+5"),
        cl("a negative length", b"-5"),
        cl("a negative zero", b"-0"),
        cl("hexadecimal", b"0x5"),
        cl("hexadecimal without a mark", b"a"),
        cl("an exponent", b"5e0"),
        cl("a fraction", b"5.0"),
        cl("a space inside", b"5 5"),
        cl("a tab inside", b"5\t5"),
        cl("an underscore", b"5_0"),
        cl("a semicolon", b"5;x"),
        cl("quotes", b"\"5\""),
        cl("an empty length", b""),
        cl("twenty digits", b"18446744073709551616"),
        cl("forty digits", b"0000000000000000000000000000000000000005"),
        cl("a length that wraps to 5", b"18446744073709551621"),
        cl("a length and NUL", b"5\0"),
        cl("a length and a vertical tab", b"\x0b5"),
        cl("digits that are not ASCII", b"\xd9\xa5"),
        cl("letters", b"five"),
        te("identity", b"identity"),
        te("gzip", b"gzip"),
        te("gzip, then chunked", b"gzip, chunked"),
        te("chunked, then gzip", b"chunked, gzip"),
        te("chunked, then identity", b"chunked, identity"),
        te("identity, then chunked", b"identity, chunked"),
        te("chunked twice", b"chunked, chunked"),
        te("chunked on two lines", b"chunked\r\nTransfer-Encoding: chunked"),
        te("chunked and x on two lines", b"chunked\r\nTransfer-Encoding: x"),
        te("chunked with a parameter", b"chunked;q=1"),
        te("chunked with an empty parameter", b"chunked;"),
        te("a vertical tab first", b"\x0bchunked"),
        te("a form feed first", b"\x0cchunked"),
        te("a vertical tab last", b"chunked\x0b"),
        te("a no-break space", b"\xa0chunked"),
        te("NUL last", b"chunked\0"),
        te("xchunked", b"xchunked"),
        te("chunkedx", b"chunkedx"),
        te("chunke", b"chunke"),
        te("chunked in quotes", b"\"chunked\""),
        te("single quotes", b"'chunked'"),
        te("a colon", b": chunked"),
        te("a space inside chunked", b"chun ked"),
        te("two words", b"x chunked"),
        te("a tab between words", b"chunked\tx"),
        te("a coding of nothing", b""),
        te("a list of nothing", b","),
        te("cow", b"cow"),
        head("chunked in HTTP/1.0", CODING, b"POST {path} HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
        head("chunked and length in HTTP/1.0", CODING, b"POST {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
    ]
}

//! Parts of a content, as HTTP asks for them.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE},
};
use protocol::transfer::Content;
use std::ops::Range;

/// What of a content is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it.
    Whole,
    /// These bytes of it, at least one.
    Part(Range<u64>),
    /// Bytes that it does not have.
    Beyond,
    /// None of it: who asks has it.
    Known,
}

impl Asked {
    /// Of a call. Several ranges at once are answered with the whole, as are what is no range, and a range of another content
    /// than this.
    pub(crate) fn of(request: &HttpRequest, content: &Content) -> Self {
        let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let tag = tag(content);
        let is_known = |tags: &str| tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag);
        if header(IF_NONE_MATCH).is_some_and(is_known) {
            return Self::Known;
        }
        let range = header(RANGE).filter(|_| header(IF_RANGE).is_none_or(|known| known.trim() == tag));
        range.map_or(Self::Whole, |range| Self::written(range, content.size))
    }

    /// Of what grows and has no tag: as the header says it, of so many bytes.
    pub(crate) fn written(range: &str, size: u64) -> Self {
        range.strip_prefix("bytes=").map_or(Self::Whole, |range| read(range, size))
    }

    /// The bytes to send; none where there are none.
    pub(crate) fn range(&self, size: u64) -> Range<u64> {
        match self {
            Self::Whole => 0..size,
            Self::Part(range) => range.clone(),
            Self::Beyond | Self::Known => 0..0,
        }
    }

    /// The head of the answer.
    pub(crate) fn answer(&self, content: &Content) -> HttpResponseBuilder {
        let size = content.size;
        let mut answer = match self {
            Self::Whole => HttpResponse::Ok(),
            Self::Part(_) => HttpResponse::PartialContent(),
            Self::Beyond => HttpResponse::RangeNotSatisfiable(),
            Self::Known => HttpResponse::NotModified(),
        };
        answer.insert_header((ACCEPT_RANGES, "bytes")).insert_header((ETAG, tag(content)));
        match self {
            Self::Whole | Self::Known => {}
            Self::Part(Range { start, end }) => {
                answer.insert_header((CONTENT_RANGE, format!("bytes {start}-{}/{size}", end - 1)));
            }
            Self::Beyond => {
                answer.insert_header((CONTENT_RANGE, format!("bytes */{size}")));
            }
        }
        answer
    }
}

/// A content is what its digest says, whenever somebody asks.
fn tag(content: &Content) -> String {
    format!("\"{}\"", content.digest)
}

fn read(range: &str, size: u64) -> Asked {
    let Some((first, last)) = range.split_once('-') else { return Asked::Whole };
    let number = |text: &str| text.trim().parse::<u64>();
    let part = match (number(first), number(last)) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..size,
        (Err(_), Ok(length)) if first.trim().is_empty() => size.saturating_sub(length)..size,
        _ => return Asked::Whole,
    };
    if part.is_empty() { Asked::Beyond } else { Asked::Part(part) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use protocol::Digest;

    #[test]
    fn a_range_of_another_content_is_the_whole_and_a_known_one_is_not_sent() {
        let content = Content { digest: Digest::of_bytes(&[7; 32]), size: 10 };
        let (ours, other) = (tag(&content), "\"other\"".to_owned());
        let asked = |headers: &[(HeaderName, &str)]| {
            let add = |request: TestRequest, header: &(HeaderName, &str)| {
                request.insert_header((header.0.clone(), header.1.to_owned()))
            };
            let request = headers.iter().fold(TestRequest::default(), add).to_http_request();
            Asked::of(&request, &content)
        };
        let range = (RANGE, "bytes=2-3");
        assert_eq!(asked(std::slice::from_ref(&range)), Asked::Part(2..4));
        assert_eq!(asked(&[range.clone(), (IF_RANGE, &ours)]), Asked::Part(2..4));
        assert_eq!(asked(&[range.clone(), (IF_RANGE, &other)]), Asked::Whole);
        assert_eq!(asked(&[range.clone(), (IF_RANGE, "Sun, 29 Nov 2026 10:00:00 GMT")]), Asked::Whole);
        assert_eq!(asked(&[range, (IF_NONE_MATCH, &format!("{other}, W/{ours}"))]), Asked::Known);
        assert_eq!(asked(&[(IF_NONE_MATCH, &other)]), Asked::Whole);
    }

    #[test]
    fn a_range_is_what_of_it_the_content_has() {
        for (range, wanted) in [
            ("0-0", Asked::Part(0..1)),
            ("2-5", Asked::Part(2..6)),
            ("2-", Asked::Part(2..10)),
            ("2-99", Asked::Part(2..10)),
            ("-3", Asked::Part(7..10)),
            ("-99", Asked::Part(0..10)),
            ("10-", Asked::Beyond),
            ("-0", Asked::Beyond),
            ("5-2", Asked::Whole),
            ("0-1,4-5", Asked::Whole),
            ("x", Asked::Whole),
        ] {
            assert_eq!(read(range, 10), wanted, "{range}");
        }
        assert_eq!(read("0-", 0), Asked::Beyond);
    }
}

//! What S3 answers when it is asked for the keys of a bucket.
//!
//! Keys are asked for encoded as in a URL, so the XML has no escapes where we look, and its few flat elements need no parser.

/// One page of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// Each key and its size in bytes.
    pub(super) keys: Vec<(String, u64)>,
    /// What asks for the next page.
    pub(super) next: Option<String>,
}

/// Reads one page. Entries that make no sense are left out.
pub(super) fn parse(xml: &str) -> Listing {
    let encoded = element(xml, "EncodingType").is_some_and(|(kind, _)| kind == "url");
    let mut keys = Vec::new();
    let mut rest = xml;
    while let Some((entry, after)) = element(rest, "Contents") {
        let size = element(entry, "Size").and_then(|(size, _)| size.parse().ok());
        if let Some(((key, _), size)) = element(entry, "Key").zip(size) {
            keys.push((if encoded { decode(key) } else { key.to_owned() }, size));
        }
        rest = after;
    }
    let next = element(xml, "NextContinuationToken").map(|(token, _)| token.to_owned());
    Listing { keys, next }
}

/// The text of the first element of a name, and what follows it.
pub(super) fn element<'a>(xml: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>"))
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let encoded = digits.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(encoded.unwrap_or(if *byte == b'+' { b' ' } else { *byte }));
        rest = if encoded.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let xml = "<?xml version=\"1.0\"?><ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
            <Contents><Key>a%2Fb+c%C3%BC</Key><Size>12</Size></Contents><Contents><Key>x</Key></Contents>\
            <Contents><Key>50%</Key><Size>1</Size></Contents><NextContinuationToken>t=</NextContinuationToken></ListBucketResult>";
        let listing = parse(xml);
        assert_eq!(listing.keys, [("a/b cü".to_owned(), 12), ("50%".to_owned(), 1)]);
        assert_eq!(listing.next.as_deref(), Some("t="));
    }

    #[test]
    fn what_is_no_page_has_no_keys() {
        for xml in ["", "<Contents>", "<Contents><Key>a</Contents></Key>", "<html>"] {
            assert_eq!(parse(xml), Listing { keys: Vec::new(), next: None });
        }
    }
}

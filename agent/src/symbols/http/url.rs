//! A URL as far as we follow one: a server and a path.

use std::fmt;

use hyper::Uri;

/// The longest URL that is read, in bytes; servers take 8 KiB of a request's first line.
const URL_BYTES_MAX: usize = 8 * 1024;

/// The URL of a server or of something on it, without a `/` at its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    secure: bool,
    host: String,
    port: Option<u16>,
    /// Empty, or beginning with `/`.
    path: String,
    /// Empty, or beginning with `?`.
    query: String,
}

impl Url {
    /// Reads the URL of a server or a store.
    ///
    /// # Errors
    ///
    /// If it is none, or has what the URL of a store cannot have. Secrets are refused, since URLs are logged.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Self::read(text)?;
        if url.query.is_empty() && !text.contains(['?', '#']) {
            Ok(url)
        } else {
            Err("a store's URL has neither ? nor #")
        }
    }

    /// Reads any URL, one with a query too.
    pub(in crate::symbols) fn read(text: &str) -> Result<Self, &'static str> {
        let secure = text.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"));
        if !secure && !text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://")) {
            return Err("expected http:// or https://");
        }
        if text.len() > URL_BYTES_MAX {
            return Err("the URL is too long");
        }
        let uri: Uri =
            text.parse().map_err(|_| "after http:// or https:// a host and a path are expected")?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("the URL names no host")?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("secrets in a URL are not taken");
        }
        Ok(Self {
            secure,
            host: host.to_ascii_lowercase(),
            port: uri.port_u16(),
            path: uri.path().trim_end_matches('/').to_owned(),
            query: uri.query().map(|query| format!("?{query}")).unwrap_or_default(),
        })
    }

    /// What lies below it, at a path that is encoded already.
    #[must_use]
    pub fn below(&self, path: &str) -> Self {
        Self { path: format!("{}/{path}", self.path), ..self.clone() }
    }

    /// The same with a query that is encoded already.
    #[must_use]
    pub fn with_query(&self, query: &str) -> Self {
        Self { query: format!("?{query}"), ..self.clone() }
    }

    /// The same with something in front of its host.
    #[must_use]
    pub fn subdomain(&self, name: &str) -> Self {
        Self { host: format!("{name}.{}", self.host), ..self.clone() }
    }

    /// Where an answer from here sends us; `None` if it is nowhere that we go, as from `https` to `http`.
    #[must_use]
    pub fn join(&self, location: &str) -> Option<Self> {
        let location = location.split('#').next()?;
        if let Some(rest) = location.strip_prefix("//") {
            return Self::read(&format!("{}://{rest}", self.scheme())).ok();
        }
        if location.starts_with('/') {
            return Self::read(&format!("{}{location}", self.root())).ok();
        }
        let url = Self::read(location).ok()?;
        (url.secure || !self.secure).then_some(url)
    }

    /// Whether it is `https`.
    #[must_use]
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The host to connect to.
    #[must_use]
    pub fn host(&self) -> &str {
        // An IPv6 address stands in brackets in a URL, and nowhere else.
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.secure { 443 } else { 80 })
    }

    /// Host and port as the header `Host` has them.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Which server it is.
    #[must_use]
    pub fn server(&self) -> String {
        format!("{}:{}", self.host, self.port())
    }

    /// Path and query as a request has them.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}{}", self.path(), self.query)
    }

    /// The path; at least `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { &self.path }
    }

    /// The query without its `?`.
    #[must_use]
    pub fn query(&self) -> &str {
        self.query.strip_prefix('?').unwrap_or_default()
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    fn root(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query may be a signature, and this is for logs.
        write!(f, "{}{}", self.root(), self.path)
    }
}

/// Encodes what has no place in a path: all but letters, digits, `-._~` and `/`. It is S3's rule, and stricter than any other.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_sends_us_to_a_path_a_server_or_nowhere() {
        let here = Url::parse("https://here/store").unwrap();
        let there = |location| here.join(location).map(|url| format!("{url}?{}", url.query()));
        assert_eq!(there("/a?b=c#d").as_deref(), Some("https://here/a?b=c"));
        assert_eq!(there("//there/a").as_deref(), Some("https://there/a?"));
        assert_eq!(there("https://there:1/").as_deref(), Some("https://there:1?"));
        assert_eq!(there("http://there/"), None, "not from a safe place to an unsafe one");
        assert_eq!(there("file:///etc/passwd"), None);
        assert_eq!(there(""), None);
    }

    #[test]
    fn paths_are_encoded_as_s3_wants_them() {
        assert_eq!(encode("/src/a b/ü+$.c"), "/src/a%20b/%C3%BC%2B%24.c");
    }

    #[test]
    fn addresses_of_both_kinds_are_hosts() {
        let url = Url::parse("http://[::1]:8002/x/").unwrap();
        assert_eq!((url.host(), url.port(), url.authority().as_str()), ("::1", 8002, "[::1]:8002"));
        assert_eq!(Url::parse("https://H/").unwrap().server(), "h:443");
    }
}

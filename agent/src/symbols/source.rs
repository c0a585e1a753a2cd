//! A place that may have debug files, as a user writes it down.

use std::fmt;
use std::path::PathBuf;

use super::http::Url;
use super::limits::SERVERS_MAX;

/// A place that may have debug files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A store, or a folder with a `.build-id` tree, on this machine.
    Directory(PathBuf),
    /// A store behind a web server.
    Http(Url),
    /// A store in S3.
    S3(Bucket),
    /// debuginfod servers, which are asked all at once.
    Debuginfod(Vec<Url>),
}

/// A place in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket's name.
    pub name: String,
    /// What every key begins with: empty, or with a `/` at its end.
    pub prefix: String,
}

/// Text that names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no symbol source: {reason}")]
pub struct SourceError {
    text: String,
    reason: &'static str,
}

impl SourceError {
    fn new(text: &str, reason: &'static str) -> Self {
        // In front of an @ stands a secret, and this is for a log.
        let text = text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, shown)| format!("…@{shown}"));
        Self { text, reason }
    }
}

impl Source {
    /// Reads a source: a directory, `http(s)://HOST/…`, `s3://BUCKET/PREFIX`, or `debuginfod:` and the URLs of servers. A
    /// `debuginfod:` without any means those of `DEBUGINFOD_URLS`.
    ///
    /// # Errors
    ///
    /// If the text is none of these.
    pub fn parse(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, SourceError> {
        let fail = |reason| SourceError::new(text, reason);
        if let Some(servers) = text.strip_prefix("debuginfod:") {
            if !servers.trim().is_empty() {
                return Self::debuginfod(servers);
            }
            let servers = variable("DEBUGINFOD_URLS").unwrap_or_default();
            return Self::debuginfod(&servers).map_err(|error| {
                if servers.trim().is_empty() { fail("DEBUGINFOD_URLS is not set") } else { error }
            });
        }
        if let Some(place) = text.strip_prefix("s3://") {
            let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
            return Bucket::new(name, prefix).map(Self::S3).map_err(fail);
        }
        if text.contains("://") {
            return Url::parse(text).map(Self::Http).map_err(fail);
        }
        if text.is_empty() || text.contains('\0') {
            return Err(fail("expected a directory, http(s)://, s3:// or debuginfod:"));
        }
        Ok(Self::Directory(PathBuf::from(text)))
    }

    /// Reads a list of debuginfod servers as `DEBUGINFOD_URLS` has it: with blanks between them, with `/buildid` at their end or
    /// without. The words with `ima:`, which set a policy for signatures, name no server and are skipped.
    ///
    /// # Errors
    ///
    /// If one of them is no URL, or there is none.
    pub fn debuginfod(text: &str) -> Result<Self, SourceError> {
        let mut servers: Vec<Url> = Vec::new();
        for word in text.split_whitespace().filter(|word| !word.starts_with("ima:")) {
            let bare = word.trim_end_matches('/');
            let bare = bare.strip_suffix("/buildid").unwrap_or(bare);
            let server = Url::parse(bare).map_err(|reason| SourceError::new(word, reason))?;
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        match servers.len() {
            0 => Err(SourceError::new(text, "it names no debuginfod server")),
            1..=SERVERS_MAX => Ok(Self::Debuginfod(servers)),
            _ => Err(SourceError::new(text, "it names more than 16 debuginfod servers")),
        }
    }
}

impl Bucket {
    fn new(name: &str, prefix: &str) -> Result<Self, &'static str> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !(3..=63).contains(&name.len()) || !name.bytes().all(known) {
            return Err("the bucket's name is not one that S3 allows");
        }
        let prefix = prefix.trim_matches('/');
        if prefix.bytes().any(|byte| byte.is_ascii_control()) || prefix.split('/').any(|part| part == "..") {
            return Err("the prefix is not one that a key can begin with");
        }
        let slash = if prefix.is_empty() { "" } else { "/" };
        Ok(Self { name: name.to_owned(), prefix: format!("{prefix}{slash}") })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Http(url) => write!(f, "{url}"),
            Self::S3(bucket) => write!(f, "s3://{}/{}", bucket.name, bucket.prefix),
            Self::Debuginfod(servers) => {
                f.write_str("debuginfod:")?;
                for (index, server) in servers.iter().enumerate() {
                    write!(f, "{}{server}", if index == 0 { "" } else { " " })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        let variable = |name: &str| {
            (name == "DEBUGINFOD_URLS").then(|| "ima:enforcing http://a:8002/buildid/ https://b".to_owned())
        };
        Source::parse(text, &variable).map(|source| source.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn sources_are_read_and_printed() {
        let same =
            ["/srv/symbols", "debug", "http://host/a/b", "s3://bucket/a/b/", "debuginfod:http://a https://b"];
        for text in same {
            assert_eq!(parse(text).as_deref(), Ok(text));
        }
        assert_eq!(parse("https://host:8443/").as_deref(), Ok("https://host:8443"));
        assert_eq!(parse("s3://bucket").as_deref(), Ok("s3://bucket/"));
        assert_eq!(parse("debuginfod:").as_deref(), Ok("debuginfod:http://a:8002 https://b"));
    }

    #[test]
    fn what_is_no_source_is_said_to_be_none() {
        let wrong = [
            ("", "expected a directory"),
            ("ftp://host/x", "http:// or https://"),
            ("http://", "host"),
            ("http://user:secret@host/", "secrets"),
            ("http://host/?q=1", "?"),
            ("s3://", "bucket"),
            ("s3://a b/c", "bucket"),
            ("s3://bucket/../c", "prefix"),
            ("debuginfod:host", "http:// or https://"),
            ("debuginfod:ima:enforcing", "no debuginfod server"),
        ];
        for (text, reason) in wrong {
            let error = parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("user:secret"), "{error}");
        }
        let unset = Source::parse("debuginfod:", &|_| None).unwrap_err();
        assert!(unset.to_string().contains("DEBUGINFOD_URLS is not set"), "{unset}");
    }
}

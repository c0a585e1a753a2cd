//! As much of S3 as a symbol store needs: get, put, list.

mod credentials;
mod listing;
mod sign;

use hyper::body::Bytes;
use hyper::{Method, StatusCode};

pub(super) use sign::hexadecimal;

use super::http::{Answer, Client, Content, Error, Request, Url, encode};
use super::source::Bucket;
use credentials::Credentials;
use sign::{EMPTY_SHA256, Scope, sign};

/// How many pages of 1,000 keys a listing may have: ten million keys are no store that anybody lists.
const PAGES_MAX: usize = 10_000;

/// S3, or what stands in for it.
#[derive(Debug)]
pub struct S3 {
    /// What the user set in its place; buckets are in its path.
    endpoint: Option<Url>,
    region: String,
    credentials: Option<Credentials>,
}

impl S3 {
    /// What the environment says: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_DEFAULT_REGION`, and credentials.
    ///
    /// # Errors
    ///
    /// If the endpoint is no URL, the region no name, or the credentials are not to be had.
    pub async fn open(
        variable: &(dyn Fn(&str) -> Option<String> + Sync),
        client: &Client,
    ) -> Result<Self, Error> {
        let set = |names: [&str; 2]| {
            names.into_iter().find_map(|name| variable(name).filter(|value| !value.is_empty()))
        };
        let endpoint = set(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
        let endpoint = endpoint
            .map(|url| Url::parse(&url))
            .transpose()
            .map_err(|reason| Error::Broken(format!("S3's endpoint is wrong: {reason}")))?;
        let region = set(["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap_or_else(|| "us-east-1".to_owned());
        // It becomes a part of a host's name.
        if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(Error::Broken("AWS_REGION is no region".to_owned()));
        }
        let credentials = credentials::find(variable, client).await.map_err(Error::Broken)?;
        Ok(Self { endpoint, region, credentials })
    }

    /// Gets an object; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or with something else.
    pub async fn get(&self, client: &Client, bucket: &Bucket, name: &str) -> Result<Option<Answer>, Error> {
        let url = self.url(bucket)?.below(&encode(&format!("{}{name}", bucket.prefix)));
        let answer = client.send(self.request(Method::GET, url, Content::Empty, EMPTY_SHA256)).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(explain(answer).await),
        }
    }

    /// Puts an object; `sha256` is that of its content, which S3 checks.
    ///
    /// # Errors
    ///
    /// If S3 does not take it.
    pub async fn put(
        &self,
        client: &Client,
        bucket: &Bucket,
        name: &str,
        content: Content,
        sha256: &str,
    ) -> Result<(), Error> {
        let url = self.url(bucket)?.below(&encode(&format!("{}{name}", bucket.prefix)));
        let answer = client.send(self.request(Method::PUT, url, content, sha256)).await?;
        if answer.status.is_success() { Ok(()) } else { Err(explain(answer).await) }
    }

    /// Lists names below the bucket's prefix, and their sizes in bytes.
    ///
    /// # Errors
    ///
    /// If S3 does not answer, or with something else.
    pub async fn list(&self, client: &Client, bucket: &Bucket) -> Result<Vec<(String, u64)>, Error> {
        let part = |text: &str| encode(text).replace('/', "%2F");
        let mut names = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            // Sorted, as they are signed.
            let from = token.map(|token| format!("continuation-token={}&", part(&token))).unwrap_or_default();
            let query = format!("{from}encoding-type=url&list-type=2&prefix={}", part(&bucket.prefix));
            let url = self.url(bucket)?.with_query(&query);
            let answer = client.send(self.request(Method::GET, url, Content::Empty, EMPTY_SHA256)).await?;
            if answer.status != StatusCode::OK {
                return Err(explain(answer).await);
            }
            let page = listing::parse(&answer.text().await?);
            let below =
                |(key, bytes): (String, u64)| Some((key.strip_prefix(&bucket.prefix)?.to_owned(), bytes));
            names.extend(page.keys.into_iter().filter_map(below));
            token = page.next;
            if token.is_none() {
                return Ok(names);
            }
        }
        Err(Error::Broken("the listing has no end".to_owned()))
    }

    fn url(&self, bucket: &Bucket) -> Result<Url, Error> {
        if let Some(endpoint) = &self.endpoint {
            return Ok(endpoint.below(&bucket.name));
        }
        let domain = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = Url::parse(&format!("https://s3.{}.{domain}", self.region))
            .map_err(|reason| Error::Broken(reason.to_owned()))?;
        // The certificate is good for one name in front, not for two.
        Ok(if bucket.name.contains('.') { url.below(&bucket.name) } else { url.subdomain(&bucket.name) })
    }

    fn request(&self, method: Method, url: Url, content: Content, sha256: &str) -> Request {
        let mut request = Request { method, url, headers: Vec::new(), content, follow: false };
        if let Some(credentials) = &self.credentials {
            let scope = Scope { time: &now(), region: &self.region };
            sign(&mut request, sha256, credentials, scope);
        }
        request
    }
}

/// The time as a signature has it: `20130524T000000Z`.
fn now() -> String {
    let text = trace_record::complete::rfc3339(crate::clock::now_ms());
    let digits: String =
        text.chars().take("2013-05-24T00:00:00".len()).filter(|c| !"-:".contains(*c)).collect();
    format!("{digits}Z")
}

/// What S3 says of what it did not do.
async fn explain(answer: Answer) -> Error {
    let status = answer.status;
    let text = answer.text().await.unwrap_or_default();
    let part =
        |name| listing::element(&text, name).map(|(text, _)| text.chars().take(200).collect::<String>());
    match (part("Code"), part("Message")) {
        (Some(code), Some(message)) => Error::Broken(format!("S3 answers {status}: {code}: {message}")),
        _ => Error::Status(status),
    }
}

/// The content that is `text`.
pub(super) fn content(text: String) -> Content {
    Content::Bytes(Bytes::from(text))
}

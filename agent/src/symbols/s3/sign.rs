//! AWS's signature, version 4, over one request.
//!
//! By hand, since it is three hashes: `aws-sigv4` brings 31 crates along that the agent has no use for, and the agent names no AWS type.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::credentials::Credentials;
use crate::symbols::http::Request;

/// The hash of nothing, in hexadecimal.
pub(super) const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// When and where a signature is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    /// `20130524T000000Z`.
    pub(super) time: &'a str,
    /// `eu-central-1`.
    pub(super) region: &'a str,
}

/// Adds the headers that prove who asks. The request's query must be sorted and encoded, and `sha256` be that of its content.
pub(super) fn sign(request: &mut Request, sha256: &str, credentials: &Credentials, scope: Scope<'_>) {
    // In the order of their names, as they are signed.
    let mut signed = vec![
        ("host", request.url.authority()),
        ("x-amz-content-sha256", sha256.to_owned()),
        ("x-amz-date", scope.time.to_owned()),
    ];
    if let Some(token) = &credentials.token {
        signed.push(("x-amz-security-token", token.clone()));
    }
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let asked = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{sha256}",
        request.method,
        request.url.path(),
        request.url.query()
    );
    let day = scope.time.get(..8).unwrap_or_default();
    let place = format!("{day}/{}/s3/aws4_request", scope.region);
    let text = format!("AWS4-HMAC-SHA256\n{}\n{place}\n{}", scope.time, hexadecimal(&Sha256::digest(asked)));
    let mut key = mac(format!("AWS4{}", credentials.secret).as_bytes(), day);
    for part in [scope.region, "s3", "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hexadecimal(&mac(&key, &text));
    let id = &credentials.id;
    let proof =
        format!("AWS4-HMAC-SHA256 Credential={id}/{place}, SignedHeaders={names}, Signature={signature}");
    // The client itself sends `Host`.
    request.headers.extend(signed.into_iter().skip(1));
    request.headers.push(("authorization", proof));
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(in crate::symbols) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::http::Url;

    /// The example of AWS's own documentation ("Authenticating Requests: Using the Authorization Header").
    #[test]
    fn the_documented_example_gets_the_documented_signature() {
        let cases = [
            ("lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            ("max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ];
        let credentials = Credentials {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        };
        for (query, signature) in cases {
            let url = Url::parse("https://examplebucket.s3.amazonaws.com").unwrap().with_query(query);
            let mut request = Request::get(url);
            let scope = Scope { time: "20130524T000000Z", region: "us-east-1" };
            sign(&mut request, EMPTY_SHA256, &credentials, scope);
            let (_, proof) = request.headers.last().unwrap();
            assert!(proof.ends_with(signature), "{proof}");
        }
    }
}

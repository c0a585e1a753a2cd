//! AWS's signature, version 4, from the service's side: whether a request has one, is in time, and was signed with the secret
//! of the key that it names.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::clock::Time;
use crate::http::Head;
use crate::refusal::Refusal;

/// How far a request's date may be off the service's clock, in milliseconds (5 minutes).
const SKEW_MS_MAX: i64 = 5 * 60 * 1_000;

/// A key whose signatures the service knows.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The access key id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
    /// The session token that must come with it, for temporary credentials.
    pub token: Option<String>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Refuses a request that is not signed, not in time, or signed by nobody of `keys`.
pub(crate) fn check(
    head: &Head,
    body: &[u8],
    keys: Option<&[Key]>,
    expired: &[String],
    now: Time,
) -> Result<(), Refusal> {
    let Some(proof) = head.header("authorization") else {
        return Err(Refusal::new("MissingAuthenticationTokenException", "Missing Authentication Token"));
    };
    let proof = Proof::read(proof)?;
    let date = head.header("x-amz-date").and_then(|text| Some((text, Time::parse_basic(text)?)));
    let Some((date, time)) = date.filter(|(date, _)| date.get(..8) == Some(proof.day)) else {
        return Err(incomplete(
            "Authorization header requires existence of a valid 'X-Amz-Date' header of its scope's day.",
        ));
    };
    in_time(time, now)?;
    let token = head.header("x-amz-security-token");
    if token.is_some_and(|token| expired.iter().any(|expired| expired == token)) {
        return Err(Refusal::new(
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ));
    }
    let Some(keys) = keys else { return Ok(()) };
    let key = keys.iter().find(|key| key.id == proof.key && key.token.as_deref() == token);
    let Some(key) = key else {
        let message = "The security token included in the request is invalid.";
        return Err(Refusal::new("UnrecognizedClientException", message));
    };
    if proof.made_with(key, date, head, body) {
        return Ok(());
    }
    let message = "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                   Access Key and signing method. Consult the service documentation for details.";
    Err(Refusal::new("InvalidSignatureException", message))
}

fn incomplete(message: &str) -> Refusal {
    Refusal::new("IncompleteSignatureException", message)
}

fn in_time(time: Time, now: Time) -> Result<(), Refusal> {
    let (earliest, latest) = (now.plus(-SKEW_MS_MAX), now.plus(SKEW_MS_MAX));
    let (said, now) = (time.basic(), now.basic());
    if time < earliest {
        let earliest = earliest.basic();
        let message = format!("Signature expired: {said} is now earlier than {earliest} ({now} - 5 min.)");
        return Err(Refusal::new("InvalidSignatureException", message));
    }
    if time > latest {
        let latest = latest.basic();
        let message =
            format!("Signature not yet current: {said} is still later than {latest} ({now} + 5 min.)");
        return Err(Refusal::new("InvalidSignatureException", message));
    }
    Ok(())
}

/// The header `Authorization`, in its parts.
struct Proof<'a> {
    key: &'a str,
    day: &'a str,
    region: &'a str,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Proof<'a> {
    fn read(text: &'a str) -> Result<Self, Refusal> {
        let parts = text.strip_prefix("AWS4-HMAC-SHA256 ");
        let parts = parts
            .ok_or_else(|| incomplete("Authorization header requires the algorithm AWS4-HMAC-SHA256."))?;
        let part = |name: &str| {
            let found = parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            found.ok_or_else(|| incomplete(&format!("Authorization header requires '{name}' parameter.")))
        };
        let (credential, signed, signature) =
            (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
        let scope: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [end, service, region, day, key] = scope[..] else {
            return Err(incomplete("Credential must have exactly 5 slash-delimited elements."));
        };
        if (end, service) != ("aws4_request", "logs") {
            let message = "Credential should be scoped to correct service: 'logs'.";
            return Err(Refusal::new("InvalidSignatureException", message));
        }
        Ok(Self { key, day, region, signed, signature })
    }

    fn made_with(&self, key: &Key, date: &str, head: &Head, body: &[u8]) -> bool {
        let names: Vec<&str> = self.signed.split(';').collect();
        // What is not signed could have been changed on the way.
        if !names.contains(&"host") || !names.contains(&"x-amz-date") {
            return false;
        }
        let sha256 = hexadecimal(&Sha256::digest(body));
        if head.header("x-amz-content-sha256").is_some_and(|said| said != sha256) {
            return false;
        }
        let line = |name: &&str| {
            let values = head.headers.iter().filter(|(known, _)| known == name);
            let values: Vec<String> =
                values.map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            format!("{name}:{}\n", values.join(","))
        };
        let lines: String = names.iter().map(line).collect();
        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        let mut query: Vec<&str> = query.split('&').collect();
        query.sort_unstable();
        let asked =
            format!("{}\n{path}\n{}\n{lines}\n{}\n{sha256}", head.method, query.join("&"), self.signed);
        let place = format!("{}/{}/logs/aws4_request", self.day, self.region);
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{place}\n{}", hexadecimal(&Sha256::digest(asked)));
        let mut secret = mac(format!("AWS4{}", key.secret).as_bytes(), self.day);
        for part in [self.region, "logs", "aws4_request"] {
            secret = mac(&secret, part);
        }
        hexadecimal(&mac(&secret, &text)) == self.signature
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Who we are to AWS: from the environment, or from the container's own service (ECS, EKS). A developer with profiles or SSO runs
//! `aws configure export-credentials --format env` first; instance metadata is not asked, since that waits where there is none.

use std::fmt;

use serde::Deserialize;

use crate::symbols::http::{Client, Request, Url};

/// Where ECS serves the credentials of a task.
const CONTAINER: &str = "http://169.254.170.2";

/// The hosts that get the container's token over `http`: this machine, and where ECS and EKS serve credentials.
const CONTAINER_HOSTS: [&str; 6] =
    ["127.0.0.1", "localhost", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// A key, and the token that goes with it if it is for a while.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.id)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

/// Finds the credentials. `None` if there are none, with which a public bucket can be read.
///
/// # Errors
///
/// If there should be some, and they are not to be had.
pub(super) async fn find(
    variable: &(dyn Fn(&str) -> Option<String> + Sync),
    client: &Client,
) -> Result<Option<Credentials>, String> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    if let (Some(id), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        return Ok(Some(Credentials { id, secret, token: set("AWS_SESSION_TOKEN") }));
    }
    let url = match (set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), set("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
    {
        (Some(path), _) => format!("{CONTAINER}{path}"),
        (None, Some(url)) => url,
        (None, None) => return Ok(None),
    };
    let fail = |reason: &dyn fmt::Display| format!("no credentials from the container's service: {reason}");
    let url = Url::read(&url).map_err(|reason| fail(&reason))?;
    if !url.secure() && !CONTAINER_HOSTS.contains(&url.host()) {
        return Err(fail(&format_args!("{} is neither https nor a container's own", url.host())));
    }
    let token = match set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| fail(&error))?.trim().to_owned()),
        None => set("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    let mut request = Request { follow: false, ..Request::get(url) };
    request.headers.extend(token.map(|token| ("authorization", token)));
    let answer = client.send(request).await.map_err(|error| fail(&error))?;
    let status = answer.status;
    let text = answer.text().await.map_err(|error| fail(&error))?;
    if !status.is_success() {
        return Err(fail(&status));
    }
    // The text has secrets, which serde's own message might quote.
    let found: Container =
        serde_json::from_str(&text).map_err(|_| fail(&"the answer is not the expected JSON"))?;
    Ok(Some(Credentials { id: found.access_key_id, secret: found.secret_access_key, token: found.token }))
}

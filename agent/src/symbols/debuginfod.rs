//! The protocol of debuginfod servers: `GET BASE/buildid/ID/KIND`, asked of all servers at once.

use std::sync::Arc;

use hyper::StatusCode;
use tokio::task::JoinSet;
use trace_symbolizer::BuildId;

use super::http::{Answer, Client, Error, Request, Url, encode};
use super::layout::Kind;

/// What a server says: the file begins, or it has none.
pub type Said = (Url, Result<Option<Answer>, Error>);

/// Asks all servers for a file. What they say comes out in the order in which they say it; who is dropped is not listened to any
/// longer.
#[must_use]
pub fn ask(
    client: &Arc<Client>,
    servers: &[Url],
    id: &BuildId,
    kind: &Kind,
    bytes_max: u64,
) -> JoinSet<Said> {
    let mut answers = JoinSet::new();
    for server in servers {
        let Some(path) = path(id, kind) else { continue };
        let mut request = Request::get(server.below(&path));
        // The server need not begin with what would not be taken.
        request.headers.push(("x-debuginfod-maxsize", bytes_max.to_string()));
        let (client, server) = (client.clone(), server.clone());
        answers.spawn(async move {
            let answer = match client.send(request).await {
                Ok(answer) if answer.status == StatusCode::OK => Ok(Some(answer)),
                Ok(answer) if answer.status == StatusCode::NOT_FOUND => Ok(None),
                Ok(answer) => Err(Error::Status(answer.status)),
                Err(error) => Err(error),
            };
            (server, answer)
        });
    }
    answers
}

/// Where a server has a file; `None` for what no debuginfod server has.
fn path(id: &BuildId, kind: &Kind) -> Option<String> {
    match kind {
        Kind::Debuginfo | Kind::Executable => Some(format!("buildid/{id}/{}", kind.word())),
        // Servers take it as the compiler wrote it, `..` and all.
        Kind::Source(path) => path.starts_with('/').then(|| format!("buildid/{id}/source{}", encode(path))),
        Kind::Packed => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_protocol() {
        let id: BuildId = "abcd".parse().unwrap();
        let source = |text: &str| path(&id, &Kind::Source(text.to_owned()));
        assert_eq!(path(&id, &Kind::Debuginfo).as_deref(), Some("buildid/abcd/debuginfo"));
        assert_eq!(source("/a/../b c.c").as_deref(), Some("buildid/abcd/source/a/../b%20c.c"));
        assert_eq!(source("relative.c"), None);
        assert_eq!(path(&id, &Kind::Packed), None);
    }
}

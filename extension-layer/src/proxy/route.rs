//! What a request is about.

/// What a request is about, as far as it concerns us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The runtime asks for an invocation.
    Next,
    /// It answers the one with this id.
    Response(String),
    /// It reports that this one failed.
    Error(String),
    /// It reports that it could not start, or not be restored.
    InitError,
    /// The wrapper asks whether we are there: no call of Lambda's.
    Attach,
    Other,
}

/// The path of the wrapper's call.
const ATTACH: &str = trace_attach::ATTACH_PATH;

impl Route {
    pub(super) fn of(method: &str, target: &str) -> Route {
        if (method, target) == ("POST", ATTACH) {
            return Route::Attach;
        }
        let path = target.split('?').next().unwrap_or_default();
        let Some((_, call)) = path.split_once("/runtime/") else { return Route::Other };
        let call: Vec<&str> = call.split('/').collect();
        match (method, &*call) {
            ("GET", ["invocation", "next"]) => Route::Next,
            ("POST", ["invocation", request_id, "response"]) => Route::Response((*request_id).to_owned()),
            ("POST", ["invocation", request_id, "error"]) => Route::Error((*request_id).to_owned()),
            ("POST", ["init" | "restore", "error"]) => Route::InitError,
            _ => Route::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart() {
        for (method, target, route) in [
            ("GET", "/2018-06-01/runtime/invocation/next", Route::Next),
            ("GET", "/.rt/fn/2018-06-01/runtime/invocation/next?x=y", Route::Next),
            ("POST", "/2018-06-01/runtime/invocation/1/response", Route::Response("1".to_owned())),
            ("POST", "/2018-06-01/runtime/invocation/1/error", Route::Error("1".to_owned())),
            ("POST", "/2018-06-01/runtime/init/error", Route::InitError),
            ("POST", "/2018-06-01/runtime/restore/error", Route::InitError),
            ("POST", ATTACH, Route::Attach),
            ("GET", ATTACH, Route::Other),
            ("GET", "/2018-06-01/runtime/restore/next", Route::Other),
            ("POST", "/2018-06-01/runtime/invocation/next", Route::Other),
            ("GET", "/2020-01-01/extension/event/next", Route::Other),
        ] {
            assert_eq!(Route::of(method, target), route, "{target}");
        }
    }
}

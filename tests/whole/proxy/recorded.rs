//! What the cases are made of: messages of real runtimes and of Lambda, and bodies of any length.

pub(super) const NEXT: &str = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";

pub(super) const EVENT: &str = concat!(
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n",
    "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fc1\r\n",
    "Lambda-Runtime-Deadline-Ms: 1795419012532\r\nDate: Thu, 26 Nov 2026 00:37:21 GMT\r\n",
    "Content-Length: 16\r\n\r\n{\"sku\":\"TA-404\"}"
);

pub(super) const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";

/// As aws-lambda-go posts an error: its trailers are announced and never come.
pub(super) const GO_ERROR: &str = concat!(
    "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fc1/error HTTP/1.1\r\nHost: x\r\n",
    "User-Agent: aws-lambda-go/go1.27.3\r\nTransfer-Encoding: chunked\r\n",
    "Trailer: Lambda-Runtime-Function-Error-Body,Lambda-Runtime-Function-Error-Type\r\n",
    "Content-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
    "36\r\n{\"errorMessage\":\"I failed!\",\"errorType\":\"errorString\"}\r\n0\r\n\r\n"
);

/// As Node's client posts a stream that fails in its middle.
pub(super) const NODE_STREAM: &str = concat!(
    "POST /2018-06-01/runtime/invocation/8476a536/response HTTP/1.1\r\nHost: x\r\n",
    "Lambda-Runtime-Function-Response-Mode: streaming\r\n",
    "Trailer: Lambda-Runtime-Function-Error-Type\r\nTrailer: Lambda-Runtime-Function-Error-Body\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5\r\npart1\r\n6\r\npart 2\r\n0\r\n",
    "Lambda-Runtime-Function-Error-Type: Error\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n"
);

/// As awslambdaric posts an error: the X-Ray cause is raw UTF-8.
pub(super) const PYTHON_ERROR: &str = concat!(
    "POST /2018-06-01/runtime/invocation/8476a536/error HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n",
    "lambda-runtime-function-xray-error-cause: {\"message\": \"K\u{e4}se \u{20ac}\"}\r\n",
    "User-Agent: aws-lambda-python/3.12.7-4.2.2\r\ncontent-length: 55\r\n\r\n",
    "{\"errorMessage\": \"I failed!\", \"errorType\": \"Exception\"}"
);

pub(super) const INIT_ERROR: &str = concat!(
    "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\n",
    "Lambda-Runtime-Function-Error-Type: Runtime.ImportModuleError\r\nContent-Length: 36\r\n\r\n",
    "{\"errorMessage\":\"x\",\"errorType\":\"E\"}"
);

pub(super) fn post(length: usize) -> Vec<u8> {
    let head = format!(
        "POST /2018-06-01/runtime/invocation/8476a536/response HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut request = head.into_bytes();
    request.extend(filler(length));
    request
}

/// Bytes without a line end.
pub(super) fn filler(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + u8::try_from(at % 26).expect("it is below 26")).collect()
}

pub(super) fn chunked(pieces: usize, length: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..pieces {
        body.extend(format!("{length:x}\r\n").bytes());
        body.extend(filler(length));
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\n\r\n");
    body
}

pub(super) fn with_body(head: &str, body: &[u8]) -> Vec<u8> {
    [head.as_bytes(), body].concat()
}

pub(super) const POST_CHUNKED: &str = "POST /2018-06-01/runtime/invocation/8476a536/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

pub(super) fn pair(request: impl Into<Vec<u8>>, answer: impl Into<Vec<u8>>) -> (Vec<u8>, Vec<u8>) {
    (request.into(), answer.into())
}

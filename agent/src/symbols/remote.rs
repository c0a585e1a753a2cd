//! The network as stores and fetches see it: something by its name in a store that is elsewhere.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;

use super::http::{Answer, Client, Error, Request, encode};
use super::limits::Limits;
use super::s3::S3;
use super::source::Source;

/// How old credentials may become: those of a container are replaced at least 5 minutes before they end.
const CREDENTIALS_AGE_MAX: Duration = Duration::from_secs(240);

/// The variables of the environment, or what a test has in their place.
pub type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The variables of this process.
#[must_use]
pub fn environment() -> Variables {
    Arc::new(|name| std::env::var(name).ok())
}

/// The way to what is not on this machine.
pub struct Remote {
    /// Asks servers.
    pub client: Arc<Client>,
    /// The limits that hold.
    pub limits: Limits,
    variables: Variables,
    s3: Mutex<Option<(Instant, Arc<S3>)>>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Remote {
    /// A way with these limits.
    #[must_use]
    pub fn new(limits: Limits, variables: Variables) -> Self {
        Self { client: Arc::new(Client::new(limits)), limits, variables, s3: Mutex::new(None) }
    }

    /// Gets what a store has under a name; `None` if it has nothing there.
    ///
    /// # Errors
    ///
    /// If the store does not answer, or with something else. Only stores behind HTTP and S3 are asked.
    pub async fn get(&self, store: &Source, name: &str) -> Result<Option<Answer>, Error> {
        match store {
            Source::Http(url) => {
                let answer = self.client.send(Request::get(url.below(&encode(name)))).await?;
                match answer.status {
                    StatusCode::OK => Ok(Some(answer)),
                    StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
                    status => Err(Error::Status(status)),
                }
            }
            Source::S3(bucket) => self.s3().await?.get(&self.client, bucket, name).await,
            Source::Directory(_) | Source::Debuginfod(_) => Ok(None),
        }
    }

    /// S3, with credentials that are fresh.
    ///
    /// # Errors
    ///
    /// If its configuration is wrong, or there are no credentials where some should be.
    pub async fn s3(&self) -> Result<Arc<S3>, Error> {
        let known = self.s3.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, s3)) = known.filter(|(since, _)| since.elapsed() < CREDENTIALS_AGE_MAX) {
            return Ok(s3);
        }
        let s3 = Arc::new(S3::open(&*self.variables, &self.client).await?);
        *self.s3.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), s3.clone()));
        Ok(s3)
    }
}

/// Does something that waits, on a thread and a runtime of its own: callers symbolize, on whatever thread they are, and a
/// runtime inside another one is a panic.
///
/// # Errors
///
/// If this machine has no thread or no descriptor left.
pub fn wait<T: Send, F: Future<Output = T>>(make: impl FnOnce() -> F + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("symbols".to_owned()).spawn_scoped(scope, || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let done = runtime.block_on(make());
            // A name that is still being looked up is waited for by nobody.
            runtime.shutdown_background();
            Ok(done)
        })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

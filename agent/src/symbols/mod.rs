//! Where debug files come from: folders, symbol stores over HTTP and S3, debuginfod servers.
//!
//! Everything is asked for by build-id and believed only by build-id: whatever a source sends is read, and a file of another
//! build is dropped. So it does not matter much who a source is, only whether it can be reached, and the module is mostly
//! about what happens when it cannot: every wait and every size has a limit in [`limits`], a server that does not answer is
//! not asked again, and what was tried is written down for whoever asks why a name is missing ([`fetch::Tried`]).
//!
//! [`fetch::Fetch`] is the side that reads, [`store::Store`] the one that is filled by `trace-agent symbols push`. How
//! symbolizing works is not known here, and nothing here is used unless a source was named: nobody's program may wait for a
//! network that its owner never asked for.

pub mod limits;
pub mod identity;
pub mod layout;
pub mod source;
pub mod http;
pub mod s3;
pub mod remote;
pub mod debuginfod;
pub mod cache;
pub mod fetch;
pub mod store;

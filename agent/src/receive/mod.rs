//! Where failures come in, each form in a file of its own: datagrams of the capture hook, followed files, HTTP bodies.
//! A receiver knows nothing of what becomes of what it received.

pub mod unpack;
pub mod native;
pub mod socket;
pub mod checkpoint;
pub mod follow;
pub mod http;

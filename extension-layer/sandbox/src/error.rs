//! What keeps a sandbox from starting or from taking an invocation.
//!
//! A function that fails is no error of the sandbox: that is an
//! [`InvokeOutcome`](crate::InvokeOutcome).

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the sandbox could not do what its owner asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API server could not bind its address.
    #[error("cannot listen on {address}: free the port, or use port 0 to let the system choose one")]
    Listen {
        /// The address of [`Config::listen`](crate::Config::listen).
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration names no command for the runtime.
    #[error("no command for the runtime: give one, such as `python3 -m awslambdaric app.handler`")]
    CommandMissing,
    /// The runtime's program does not exist.
    #[error("command `{command}` not found: give a path, or a name that PATH leads to")]
    CommandNotFound {
        /// The program as it was given.
        command: String,
    },
    /// The runtime's program exists and may not be run.
    #[error("command `{command}` is not executable: set its execute bit")]
    CommandNotExecutable {
        /// The program as it was given.
        command: String,
    },
    /// The system refused to run the runtime's program.
    #[error("cannot start command `{command}`")]
    CommandLaunch {
        /// The program as it was given.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// The folder of the function's code is not there.
    #[error("task root `{}` is not a folder", path.display())]
    TaskRoot {
        /// [`Config::task_root`](crate::Config::task_root).
        path: PathBuf,
    },
    /// An extension's program could not be started (in Lambda: `Extension.LaunchError`).
    #[error("cannot start extension `{}`", path.display())]
    ExtensionLaunch {
        /// [`Extension::path`](crate::Extension::path).
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A member of an [`Invocation`](crate::Invocation) cannot be sent as an HTTP header.
    #[error("invocation member `{member}` holds a character that no HTTP header may carry")]
    InvocationMember {
        /// The member's name.
        member: &'static str,
    },
    /// The sandbox has been shut down.
    #[error("the sandbox is shut down")]
    Closed,
}

//! Where other people's code lies and what it is called, language by language.
//!
//! Each list is what traces of the language's own runtimes and of widely used frameworks show; a framework that is missing makes
//! its calls the user's own, which [`OwnCode`](super::OwnCode) mends.

use crate::family::Family;

/// How the code of others is recognized in one language.
pub(super) struct Libraries {
    /// Parts of a file's path.
    pub(super) folders: &'static [&'static str],
    /// Beginnings of a file's path.
    pub(super) files: &'static [&'static str],
    /// Beginnings of a function's name. One that ends in a letter and begins with one is a whole name.
    pub(super) names: &'static [&'static str],
}

/// Folders of other people's code in any language.
pub(super) const FOLDERS: &[&str] = &["/vendor/", "/third_party/"];

/// Folders of Lambda's runtimes and layers.
pub(super) const RUNTIME_FOLDERS: &[&str] = &["/var/runtime/", "/var/lang/", "/opt/"];

/// Folders of the system's libraries, as a process has them mapped: the C library is often the only one with names and lines of its own.
pub(super) const SYSTEM_MODULES: &[&str] = &["/lib/", "/lib64/", "/usr/lib", "[vdso]"];

/// The rules of a language.
pub(super) fn of(family: Family) -> &'static Libraries {
    match family {
        Family::Python => &PYTHON,
        Family::Node => &NODE,
        Family::Java => &JAVA,
        Family::Ruby => &RUBY,
        Family::Dotnet => &DOTNET,
        Family::Go => &GO,
        Family::Rust => &RUST,
        Family::Cpp => &CPP,
        Family::Swift => &SWIFT,
        Family::Dart => &DART,
        Family::Elixir => &ELIXIR,
        Family::Php | Family::Unknown => &NONE,
    }
}

const NONE: Libraries = Libraries { folders: &[], files: &[], names: &[] };

const PYTHON: Libraries = Libraries {
    folders: &["/site-packages/", "/dist-packages/", "/lib/python"],
    files: &["<frozen "],
    names: &[],
};

const NODE: Libraries = Libraries {
    folders: &["/node_modules/", "/.yarn/"],
    files: &["node:", "internal/", "native ", "wasm://", "events.js", "timers.js"],
    names: &[],
};

const JAVA: Libraries = Libraries {
    folders: &[],
    files: &[],
    names: &[
        "java.",
        "javax.",
        "jdk.",
        "sun.",
        "com.sun.",
        "jakarta.",
        "kotlin.",
        "kotlinx.",
        "scala.",
        "akka.",
        "clojure.",
        "groovy.",
        "lambdainternal.",
        "com.amazonaws.",
        "software.amazon.",
        "org.springframework.",
        "org.apache.",
        "org.hibernate.",
        "org.eclipse.",
        "org.jboss.",
        "org.slf4j.",
        "ch.qos.logback.",
        "com.fasterxml.",
        "com.google.",
        "io.netty.",
        "io.micronaut.",
        "io.quarkus.",
        "io.vertx.",
        "io.opentelemetry.",
        "reactor.",
        "rx.",
        "io.reactivex.",
        "okhttp3.",
        "retrofit2.",
        "org.junit.",
        "com.zaxxer.",
    ],
};

const RUBY: Libraries =
    Libraries { folders: &["/gems/", "/lib/ruby/", "/ruby/site_ruby/"], files: &["<internal:"], names: &[] };

const DOTNET: Libraries = Libraries {
    folders: &[],
    files: &["/_/src/"],
    names: &["System.", "Microsoft.", "Amazon.", "Newtonsoft.", "Internal.", "Interop.", "FSharp."],
};

/// The standard library's packages by their first element: a module of a user that is not `main` has a dot in it, or a name of
/// its own.
const GO: Libraries = Libraries {
    folders: &["/usr/local/go/src/", "/usr/lib/go", "/pkg/mod/", "@v"],
    files: &[],
    names: &[
        "archive/",
        "bufio.",
        "bytes.",
        "cmp.",
        "compress/",
        "container/",
        "context.",
        "crypto.",
        "crypto/",
        "database/",
        "debug/",
        "embed.",
        "encoding.",
        "encoding/",
        "errors.",
        "expvar.",
        "flag.",
        "fmt.",
        "go/",
        "hash.",
        "hash/",
        "html.",
        "html/",
        "image.",
        "image/",
        "internal/",
        "io.",
        "io/",
        "iter.",
        "log.",
        "log/",
        "maps.",
        "math.",
        "math/",
        "mime.",
        "mime/",
        "net.",
        "net/",
        "os.",
        "os/",
        "path.",
        "path/",
        "plugin.",
        "reflect.",
        "regexp.",
        "regexp/",
        "runtime.",
        "runtime/",
        "slices.",
        "sort.",
        "strconv.",
        "strings.",
        "sync.",
        "sync/",
        "syscall.",
        "syscall/",
        "testing.",
        "testing/",
        "text/",
        "time.",
        "unicode.",
        "unicode/",
        "unique.",
        "unsafe.",
        "golang.org/x/",
        "github.com/aws/aws-",
    ],
};

const RUST: Libraries = Libraries {
    folders: &["/.cargo/registry/", "/.cargo/git/", "/rustc/", "/.rustup/"],
    files: &[],
    names: &[
        "std::",
        "core::",
        "alloc::",
        "&std::",
        "&core::",
        "&alloc::",
        "&mut core::",
        "test::",
        "backtrace::",
        "tokio::",
        "futures_util::",
        "futures_core::",
        "futures_executor::",
        "hyper::",
        "hyper_util::",
        "tower::",
        "lambda_runtime::",
        "lambda_http::",
        "anyhow::",
        "tracing::",
        "rust_begin_unwind",
        "__rust",
        "_rust",
        "_start",
        "__libc_",
        "__GI_",
        "clone",
        "start_thread",
        "abort",
        "raise",
        "gsignal",
    ],
};

const CPP: Libraries = Libraries {
    folders: &[
        "/usr/include/",
        "/usr/src/",
        "/sysdeps/",
        "/csu/",
        "/nptl/",
        "/debug/",
        "/stdlib/",
        "/libsanitizer/",
        "/libstdc++-v3/",
    ],
    files: &["../sysdeps/", "./csu/", "./nptl/", "./stdlib/", "./debug/", "./malloc/", "./posix/"],
    names: &[
        "std::",
        "__gnu_cxx::",
        "__cxxabiv1::",
        "__cxa_",
        "__gxx_",
        "__libc_",
        "__GI_",
        "__interceptor_",
        "__asan",
        "__ubsan",
        "__sanitizer",
        "__assert",
        "__pthread",
        "__fortify",
        "__chk",
        "__stack_chk",
        "_start",
        "_Unwind_",
        "abort",
        "raise",
        "gsignal",
        "pthread_kill",
        "start_thread",
        "clone",
        "operator new",
        "operator delete",
        "malloc",
        "free",
        "backward::",
        "aws::lambda_runtime::",
        "Aws::",
    ],
};

const SWIFT: Libraries = Libraries {
    folders: &["/.build/checkouts/"],
    files: &[
        "libswift",
        "libFoundation",
        "libdispatch",
        "libc.so",
        "libc-",
        "Swift/",
        "Foundation/",
        "/usr/lib/",
    ],
    names: &["Swift.", "Foundation.", "swift_", "NIOCore.", "NIOPosix.", "AWSLambdaRuntime"],
};

const DART: Libraries = Libraries {
    folders: &["/.pub-cache/"],
    files: &["dart:", "package:flutter/", "package:aws_lambda_dart_runtime/"],
    names: &[],
};

/// Modules of Elixir and of the frameworks that most applications stand on; with a colon, those of Erlang.
const ELIXIR: Libraries = Libraries {
    folders: &["/deps/"],
    files: &[],
    names: &[
        ":",
        "Access.",
        "Agent.",
        "Enum.",
        "GenServer.",
        "IO.",
        "Kernel.",
        "Keyword.",
        "List.",
        "Map.",
        "Module.",
        "Process.",
        "Registry.",
        "Stream.",
        "String.",
        "Supervisor.",
        "System.",
        "Task.",
        "Mix.",
        "ExUnit.",
        "IEx.",
        "Ecto.",
        "Plug.",
        "Phoenix.",
        "Cowboy.",
    ],
};

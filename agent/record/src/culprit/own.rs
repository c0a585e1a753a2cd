//! What is the user's own code: rules of each language, and what the user says against them.

use std::fmt;
use std::str::FromStr;

use super::libraries::{self, FOLDERS, RUNTIME_FOLDERS, SYSTEM_MODULES};
use crate::failure::StackEntry;
use crate::family::Family;

/// The most rules that a user can give.
const RULES_MAX: usize = 64;

/// What the user says about whose code is whose, before the rules of the languages are asked.
///
/// Written as words: `/shared/` or `app/node_modules/@me/` is part of a file's path, `com.example.` or `mycrate::` the
/// beginning of a function's name. With `-` in front it is somebody else's code. The first word that fits decides.
///
/// ```
/// let own: trace_record::culprit::OwnCode = "com.example.framework. -/var/task/generated/".parse().unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnCode(Vec<Word>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    text: String,
    own: bool,
}

/// A word that is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordError(String);

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WordError {}

impl FromStr for OwnCode {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let mut words = Vec::new();
        for word in text.split_whitespace() {
            let (text, own) = word.strip_prefix('-').map_or((word, true), |rest| (rest, false));
            if text.is_empty() {
                return Err(WordError(format!("{word:?} names neither a path nor a function")));
            }
            words.push(Word { text: text.to_owned(), own });
        }
        if words.len() > RULES_MAX {
            return Err(WordError(format!("there are more than {RULES_MAX} words")));
        }
        Ok(Self(words))
    }
}

impl OwnCode {
    /// Whether a call is the user's own code; `None` if nothing is known of it. `module` is the program or library of a
    /// native frame, `runtime` the record's.
    #[must_use]
    pub fn is_own(&self, entry: &StackEntry, module: Option<&str>, runtime: Option<&str>) -> Option<bool> {
        let told = self.0.iter().find(|word| word.fits(entry)).map(|word| word.own);
        told.or_else(|| by_language(entry, module, runtime))
    }
}

impl Word {
    fn fits(&self, entry: &StackEntry) -> bool {
        let text = self.text.as_str();
        if text.contains(['/', '\\']) {
            entry.file.as_deref().is_some_and(|file| file.contains(text))
        } else {
            entry.function.as_deref().is_some_and(|function| function.starts_with(text))
        }
    }
}

fn by_language(entry: &StackEntry, module: Option<&str>, runtime: Option<&str>) -> Option<bool> {
    let family = Family::of(entry, runtime);
    if module.is_some_and(|module| SYSTEM_MODULES.iter().any(|folder| module.starts_with(folder))) {
        return Some(false);
    }
    let rules = libraries::of(family);
    let name = entry.function.as_deref().map(|name| name.strip_prefix("async ").unwrap_or(name));
    if name.is_some_and(|name| rules.names.iter().any(|start| begins(name, start))) {
        return Some(false);
    }
    let Some(file) = entry.file.as_deref() else {
        return (family.names_are_qualified() && name.is_some()).then_some(true);
    };
    let elsewhere = file.starts_with('<')
        || RUNTIME_FOLDERS.iter().any(|folder| file.starts_with(folder))
        || FOLDERS.iter().chain(rules.folders).any(|folder| contains(file, folder))
        || rules.files.iter().any(|start| file.starts_with(start));
    Some(!elsewhere)
}

/// Whether a function's name is below `start`, also behind the `<` of a Rust implementation.
fn begins(name: &str, start: &str) -> bool {
    let is_whole = start.starts_with(|c: char| c.is_ascii_lowercase())
        && start.ends_with(|c: char| c.is_ascii_alphanumeric());
    let below = |name: &str| {
        let rest = name.strip_prefix(start)?;
        Some(!is_whole || !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    below(name).or_else(|| below(name.strip_prefix('<')?)).unwrap_or(false)
}

/// Whether a path holds a folder, whichever way its slashes lean. A folder that begins with a slash may be the first of a relative path.
fn contains(file: &str, folder: &str) -> bool {
    let relative = |folder: &str| folder.strip_prefix('/').is_some_and(|folder| file.starts_with(folder));
    let windows = || file.contains('\\') && file.replace('\\', "/").contains(folder);
    file.contains(folder) || relative(folder) || windows()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str, function: &str) -> StackEntry {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        StackEntry { file: some(file), line: Some(1), function: some(function), source: None }
    }

    #[test]
    fn each_language_knows_its_libraries() {
        // What real traces say; the fourth column is what their owner would say.
        for (runtime, file, function, own) in [
            ("python", "/var/task/app.py", "handler", Some(true)),
            ("python", "/var/lang/lib/python3.12/json/decoder.py", "decode", Some(false)),
            ("python", "/usr/lib/python3.9/asyncio/runners.py", "run", Some(false)),
            ("python", "/var/task/site-packages/boto3/session.py", "client", Some(false)),
            ("python", "<frozen importlib._bootstrap>", "_call_with_frames_removed", Some(false)),
            ("node", "/var/task/index.mjs", "Runtime.handler", Some(true)),
            ("node", "/var/task/node_modules/pg/lib/client.js", "Client.query", Some(false)),
            ("node", "C:\\app\\node_modules\\pg\\lib\\client.js", "Client.query", Some(false)),
            ("node", "node:internal/process/task_queues", "processTicksAndRejections", Some(false)),
            ("node", "internal/modules/cjs/loader.js", "Module._compile", Some(false)),
            ("node", "", "Array.forEach", None),
            ("java", "Chain.java", "com.example.Chain.handleRequest", Some(true)),
            ("java", "Method.java", "java.lang.reflect.Method.invoke", Some(false)),
            ("java", "", "jdk.internal.reflect.NativeMethodAccessorImpl.invoke0", Some(false)),
            ("java", "", "com.example.Native.call", Some(true)),
            (
                "java",
                "DispatcherServlet.java",
                "org.springframework.web.servlet.DispatcherServlet.doDispatch",
                Some(false),
            ),
            ("dotnet", "", "System.Threading.Tasks.Task.Wait", Some(false)),
            ("dotnet", "", "Shop.Handler.Run", Some(true)),
            ("dotnet", "/var/task/App.cs", "Shop.Handler.Run", Some(true)),
            ("dotnet", "", "Amazon.Lambda.RuntimeSupport.LambdaBootstrap.InvokeOnceAsync", Some(false)),
            ("ruby", "/var/task/main.rb", "service", Some(true)),
            ("ruby", "/var/task/vendor/bundle/ruby/3.2.0/gems/pg-1.5.4/lib/pg.rb", "connect", Some(false)),
            ("ruby", "/usr/lib/ruby/3.1.0/json/common.rb", "parse", Some(false)),
            ("ruby", "<internal:kernel>", "tap", Some(false)),
            ("go", "/var/task/main.go", "main.worker", Some(true)),
            ("go", "/usr/local/go/src/runtime/panic.go", "runtime.gopanic", Some(false)),
            ("go", "encoding/json/decode.go", "encoding/json.(*decodeState).object", Some(false)),
            (
                "go",
                "/home/ci/go/pkg/mod/github.com/aws/aws-lambda-go@v1.47.0/lambda/entry.go",
                "github.com/aws/aws-lambda-go/lambda.Start",
                Some(false),
            ),
            (
                "go",
                "github.com/aws/aws-lambda-go@v1.47.0/lambda/entry.go",
                "github.com/aws/aws-lambda-go/lambda.Start",
                Some(false),
            ),
            ("go", "github.com/me/shop/cart.go", "github.com/me/shop.(*Cart).Item", Some(true)),
            ("rust", "src/main.rs", "shop::price", Some(true)),
            ("rust", "", "core::panicking::panic_fmt", Some(false)),
            ("rust", "", "<alloc::boxed::Box<F> as core::ops::FnOnce<A>>::call_once", Some(false)),
            ("rust", "", "<shop::Cart as core::fmt::Debug>::fmt", Some(true)),
            (
                "rust",
                "/home/ci/.cargo/registry/src/index/tokio-1.40.0/src/runtime/task.rs",
                "tokio::runtime::task",
                Some(false),
            ),
            ("cpp", "crash.cpp", "main", Some(true)),
            ("cpp", "", "std::terminate()", Some(false)),
            ("cpp", "", "__libc_start_main", Some(false)),
            ("cpp", "../sysdeps/unix/sysv/linux/raise.c", "raise", Some(false)),
            (
                "cpp",
                "/usr/include/c++/12/bits/stl_vector.h",
                "std::vector<int>::at(unsigned long)",
                Some(false),
            ),
            ("php", "/var/task/vendor/bref/bref/src/Runtime.php", "run", Some(false)),
            ("php", "/var/task/type.php", "{closure}", Some(true)),
            ("php", "", "add", None),
            ("elixir", "lib/my_app/orders.ex", "MyApp.Orders.total/1", Some(true)),
            ("elixir", "lib/enum.ex", "Enum.map/2", Some(false)),
            ("elixir", "gen_server.erl", ":gen_server.try_handle_call/4", Some(false)),
            ("dart", "dart:core-patch/errors_patch.dart", "_throwNew", Some(false)),
            ("dart", "package:shop/cart.dart", "Cart.item", Some(true)),
            ("swift", "libswiftCore.so", "_assertionFailure", Some(false)),
            ("swift", "app", "main", Some(true)),
        ] {
            assert_eq!(
                OwnCode::default().is_own(&entry(file, function), None, Some(runtime)),
                own,
                "{runtime} {file} {function}"
            );
        }
    }

    #[test]
    fn a_system_library_is_nobodys_own_code() {
        let named = entry("", "app::alloc");
        for (module, own) in
            [("/lib64/libc.so.6", false), ("/usr/lib/x.so", false), ("/var/task/bootstrap", true)]
        {
            assert_eq!(OwnCode::default().is_own(&named, Some(module), Some("rust")), Some(own), "{module}");
        }
    }

    #[test]
    fn the_user_decides_first() {
        let own: OwnCode = "org.apache.mine. /node_modules/@me/ -/var/task/generated/".parse().unwrap();
        for (file, function, is) in [
            ("A.java", "org.apache.mine.A.b", true),
            ("A.java", "org.apache.other.A.b", false),
            ("/var/task/node_modules/@me/x.js", "f", true),
            ("/var/task/node_modules/you/x.js", "f", false),
            ("/var/task/generated/x.js", "f", false),
        ] {
            assert_eq!(own.is_own(&entry(file, function), None, None), Some(is), "{file} {function}");
        }
        assert_eq!(
            "- a".parse::<OwnCode>().unwrap_err().to_string(),
            "\"-\" names neither a path nor a function"
        );
        assert!("a ".repeat(RULES_MAX + 1).parse::<OwnCode>().is_err());
    }
}

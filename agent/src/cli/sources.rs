//! The flags that say who is asked for debug files, for every subcommand that needs some.

use super::Usage;
use crate::symbols::fetch::Fetch;
use crate::symbols::remote::environment;
use crate::symbols::source::Source;

/// Who is asked for debug files. Nobody is, unless a flag or TRACE_AGENT_SYMBOLS names them.
#[derive(Debug, Default, clap::Args)]
pub struct Sources {
    /// Ask this source for debug files: a directory, http(s)://STORE, s3://BUCKET/PREFIX or debuginfod:URLS; may be repeated
    #[arg(long, env = "TRACE_AGENT_SYMBOLS", value_name = "SOURCE", value_delimiter = ',')]
    symbols: Vec<String>,
    /// Ask these debuginfod servers, after the other sources [without URLS: those of DEBUGINFOD_URLS]
    #[arg(long, value_name = "URLS", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    debuginfod_urls: Option<String>,
}

impl Sources {
    /// The client that asks them; `None` if there are none.
    ///
    /// # Errors
    ///
    /// If one of them is none.
    pub fn open(&self) -> Result<Option<Fetch>, Usage> {
        let variables = environment();
        let servers = self.debuginfod_urls.as_ref().map(|urls| format!("debuginfod:{urls}"));
        let texts = self.symbols.iter().chain(&servers);
        let sources: Result<Vec<Source>, _> = texts.map(|text| Source::parse(text, &*variables)).collect();
        let sources = sources.map_err(|error| Usage(error.to_string()))?;
        Ok((!sources.is_empty()).then(|| Fetch::new(sources)))
    }
}

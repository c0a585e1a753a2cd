//! `trace-agent check`: what the configuration means.

use crate::choose::{self, Connect, Home};
use crate::config::{self, Settings, SinkChoice};

/// Check the configuration: what it means, and whether the sink can be opened.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn execute(args: &Args, connect: Connect) -> anyhow::Result<()> {
    let config = super::config(&args.settings, SinkChoice::CloudWatch)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sinks = runtime.block_on(choose::open(&config, Home::Host, connect))?;
    let to = config::destination(&config, "HOSTNAME", "INPUT");
    let list = |paths: &[std::path::PathBuf]| {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        if paths.is_empty() { "none".to_owned() } else { paths.join(", ") }
    };
    for sink in &sinks {
        anstream::println!("sink          {}", sink.name());
    }
    anstream::println!("log group     {}", to.group);
    anstream::println!("log stream    {}", to.stream);
    anstream::println!("metrics       {}", config.policy.dimensions);
    anstream::println!("storm limit   {}", config.storm_limit);
    anstream::println!("source roots  {}", list(&config.source_roots));
    anstream::println!("debug folders {}", list(&config.debug_dirs));
    Ok(())
}

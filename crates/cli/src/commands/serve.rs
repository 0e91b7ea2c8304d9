//! `attackline serve`.

use super::threads;
use crate::diagnostics::say;
use crate::exit::Status;
use crate::models::{Device, ModelArgs};
use anyhow::{Context, Result, bail};
use attackline_server::{Feedback, Limits, Loader, Models, Server, Settings, Tls, TlsFiles, Tokens, Traces, hex, token_entry};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const AFTER_HELP: &str = "\
Examples:
  attackline serve                                                  the console and the interface at http://127.0.0.1:8080
  curl -d '{\"text\": \"netstat -ano\"}' -H 'Content-Type: application/json' http://127.0.0.1:8080/api
  attackline serve --model mine=models/mine/ --feedback marks.db
  attackline serve --new-token classify >> tokens.txt               prints the token to standard error
  attackline serve --listen 0.0.0.0:8080 --tokens tokens.txt

SIGHUP loads the models, the certificates and the tokens again; SIGTERM and Ctrl-C finish what is under way, a second one ends at once. The interface is described at /docs.";

/// Answer over HTTP, and show the console in a browser.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Model folder, or NAME=DIR; repeatable, the first is the default [default: the model inside this program]
    #[arg(long = "model", value_name = "[NAME=]DIR")]
    models: Vec<String>,
    /// Let n-grams settle lines that are certainly benign before the encoder
    #[arg(long)]
    gate: bool,
    /// Address to listen on, or a port of this machine alone
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    listen: SocketAddr,
    /// File of tokens that are let in: role:sha256 lines
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Listen beyond this machine without tokens
    #[arg(long, conflicts_with = "tokens")]
    allow_anonymous: bool,
    /// Make a token of this role (read, classify or admin), print its line for the tokens' file, and end
    #[arg(long, value_name = "ROLE")]
    new_token: Option<String>,
    /// Encrypt: the certificate and those that lead to its authority, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Let in only clients with a certificate of these authorities, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_client_authorities: Option<PathBuf>,
    /// Keep analysts' marks in this database
    #[arg(long, value_name = "FILE")]
    feedback: Option<PathBuf>,
    /// Threads to classify with [default: one a processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Remember answers to lines that may come again, in so many megabytes a model; 0 remembers none
    #[arg(long, value_name = "MB", default_value_t = 64)]
    cache: u16,
    /// Lines that wait at a time; beyond that requests are refused with 503
    #[arg(long, value_name = "N", default_value = "20000")]
    queue: NonZeroUsize,
    /// Largest JSON body, in megabytes
    #[arg(long, value_name = "MB", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    max_body: u16,
    /// Largest file or NDJSON stream, in megabytes
    #[arg(long, value_name = "MB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    max_file: u32,
    /// Longest line (a row of NDJSON, a text of a JSON request), in kilobytes
    #[arg(long, value_name = "KB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    max_line: u32,
    /// Most lines of one request
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    max_lines: u64,
    /// Connections at a time
    #[arg(long, value_name = "N", default_value = "1024")]
    connections: NonZeroUsize,
    /// Longest pause in what a client sends or takes, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    timeout: u16,
    /// Requests a second of one client [default: any number]
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Print a line about each request to standard error, as JSON (never a log line's text)
    #[arg(long)]
    log_requests: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<Status> {
    if let Some(role) = &args.new_token {
        return new_token(role);
    }
    let tokens = args.tokens.as_deref().map(read_tokens).transpose()?.unwrap_or_default();
    if !args.listen.ip().is_loopback() && tokens.is_open() && !args.allow_anonymous {
        bail!(
            "{} can be reached from other machines: give --tokens FILE (attackline serve --new-token classify makes one), or --allow-anonymous if everybody may use it",
            args.listen
        );
    }
    let models = Models::load(loaders(&args.models, args.gate)?, usize::from(args.cache) << 20).map_err(anyhow::Error::msg)?;
    let feedback = args.feedback.as_deref().map(Feedback::open).transpose().map_err(anyhow::Error::msg).context("--feedback")?;
    let limits = Limits {
        body_bytes: usize::from(args.max_body) << 20,
        file_bytes: u64::from(args.max_file) << 20,
        line_bytes: args.max_line as usize * 1024,
        lines: args.max_lines,
        waiting_lines: args.queue.get(),
        connections: args.connections.get(),
        pause: Duration::from_secs(args.timeout.into()),
        requests_per_second: args.rate.map(u32::from),
        ..Limits::default()
    };
    let tls = tls(args)?;
    let log: Box<dyn Fn(String) + Send + Sync> = if args.log_requests { Box::new(|line| say(format_args!("{line}"))) } else { Box::new(drop) };
    let traces = Traces::from_environment().map_err(anyhow::Error::msg)?;
    let server = Server::new(Settings { models, tokens, feedback, limits, workers: threads(args.threads), traces, log })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(listen(server, args, tls))?;
    // A file that is still being read ends with the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(Status::Done)
}

fn tls(args: &Args) -> Result<Option<Arc<Tls>>> {
    let (Some(certificate), Some(key)) = (&args.tls_certificate, &args.tls_key) else { return Ok(None) };
    let files = TlsFiles { certificate: certificate.clone(), key: key.clone(), client_authorities: args.tls_client_authorities.clone() };
    Tls::load(files).map(|tls| Some(Arc::new(tls))).map_err(anyhow::Error::msg)
}

fn read_tokens(path: &Path) -> Result<Tokens> {
    let text = std::fs::read_to_string(path).with_context(|| format!("the tokens {}", path.display()))?;
    Tokens::parse(&text).map_err(anyhow::Error::msg).with_context(|| format!("the tokens {}", path.display()))
}

/// An address of numbers, a port, or a name and a port.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let wanted = |error: std::io::Error| format!("{error}; wanted is an address such as 127.0.0.1:8080, localhost:8080 or 8080");
    let found: Vec<SocketAddr> = text.to_socket_addrs().map_err(wanted)?.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("{text} has no address"))
}

async fn listen(server: Server, args: &Args, tls: Option<Arc<Tls>>) -> Result<()> {
    let address = args.listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("{address} can't be listened on"))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    say(format_args!("listening on {scheme}://{}", listener.local_addr()?));
    let (signalled, certificates, tokens) = (server.clone(), tls.clone(), args.tokens.clone());
    tokio::spawn(async move { signals(&signalled, certificates.as_ref(), tokens.as_ref()).await });
    server.listen(listener, tls).await?;
    say(format_args!("stopped"));
    Ok(())
}

#[cfg(unix)]
async fn signals(server: &Server, tls: Option<&Arc<Tls>>, tokens: Option<&PathBuf>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut hangup), Ok(mut end)) = (signal(SignalKind::hangup()), signal(SignalKind::terminate())) else { return };
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                let (own, tls, tokens) = (server.clone(), tls.cloned(), tokens.cloned());
                let again = move || {
                    let let_in = tokens.and_then(|path| read_tokens(&path).map(|tokens| own.set_tokens(tokens)).err());
                    let errors = own.reload().into_iter().chain(tls.and_then(|tls| tls.reload().err()));
                    errors.chain(let_in.map(|error| format!("{error:#}"))).collect()
                };
                let errors: Vec<String> = tokio::task::spawn_blocking(again).await.unwrap_or_else(|error| vec![error.to_string()]);
                errors.iter().for_each(|error| say(format_args!("{error}")));
                let done = if errors.is_empty() { "loaded again" } else { "what could be was loaded again" };
                say(format_args!("models, certificates and tokens: {done}"));
            }
            _ = end.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    stop(server);
    tokio::select! {
        _ = end.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    at_once();
}

/// Who asks twice does not want to wait for what is under way.
#[expect(clippy::exit, reason = "streams of clients that don't leave would hold the process")]
fn at_once() {
    say(format_args!("ended with requests under way"));
    std::process::exit(Status::Interrupted as i32)
}

#[cfg(not(unix))]
async fn signals(server: &Server, _tls: Option<&Arc<Tls>>, _tokens: Option<&PathBuf>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop(server);
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        at_once();
    }
}

fn stop(server: &Server) {
    say(format_args!("finishing what is under way"));
    server.stop();
}

/// What loads each model: those named, or the one inside this program. A line that comes alone is computed by one thread: together they would take
/// the processor from other requests (8 connections: a fifth fewer lines a second).
fn loaders(named: &[String], gate: bool) -> Result<Vec<(String, Loader)>> {
    let loader = |model: Option<PathBuf>| -> Loader {
        Box::new(move || {
            let model = ModelArgs { model: model.clone(), device: Device::Auto, dtype: None, gate, lasting: true };
            model.classifier(1, false).map_err(|error| format!("{error:#}"))
        })
    };
    if named.is_empty() {
        return Ok(vec![("embedded".into(), loader(None))]);
    }
    let entry = |argument: &String| {
        let (name, path) = match argument.split_once('=') {
            Some((name, path)) => (name.to_owned(), PathBuf::from(path)),
            None => {
                let path = PathBuf::from(argument);
                (path.file_name().map_or_else(|| argument.clone(), |name| name.to_string_lossy().into_owned()), path)
            }
        };
        if name.is_empty() {
            bail!("--model {argument}: a name is wanted before the =");
        }
        Ok((name, loader(Some(path))))
    };
    named.iter().map(entry).collect()
}

fn new_token(role: &str) -> Result<Status> {
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    let token = hex(&bytes);
    let Some(entry) = token_entry(role, &token) else { bail!("--new-token: the role is read, classify or admin, not {role:?}") };
    say(format_args!("the token, shown only now: {token}"));
    let mut output = crate::output::Output::open(&crate::output::Target::Stdout)?;
    std::io::Write::write_all(&mut output, format!("{entry}\n").as_bytes())?;
    output.finish()?;
    Ok(Status::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_port_or_a_name() {
        let check = |text: &str, wanted: &str| assert_eq!(address(text).map(|address| address.to_string()).as_deref(), Ok(wanted), "{text}");
        check("0.0.0.0:80", "0.0.0.0:80");
        check("[::1]:8080", "[::1]:8080");
        check("8080", "127.0.0.1:8080");
        check("localhost:9", "127.0.0.1:9");
        for text in ["", "localhost", "70000", "1.2.3.4"] {
            assert!(address(text).is_err_and(|error| error.contains("wanted is an address such as")), "{text}");
        }
    }
}

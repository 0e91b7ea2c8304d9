//! Sends one-line requests on kept connections for a bounded time; prints lines a second and latencies.
//!
//! `cargo run --release -p attackline-server --example load -- 127.0.0.1:8080 --connections 64 --seconds 10`. Only loopback addresses are taken.
#![allow(clippy::print_stdout)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address: SocketAddr = arguments.first().ok_or("an address is wanted, such as 127.0.0.1:8080")?.parse()?;
    if !address.ip().is_loopback() {
        return Err("only this machine is loaded: give a loopback address".into());
    }
    let option = |name: &str, default: u64| -> Result<u64, Failure> {
        let place = arguments.iter().position(|argument| argument == name);
        place.and_then(|place| arguments.get(place + 1)).map_or(Ok(default), |value| Ok(value.parse()?))
    };
    let (connections, seconds) = (option("--connections", 1)?.clamp(1, 1024), option("--seconds", 10)?.clamp(1, 3600));
    let end = Instant::now() + Duration::from_secs(seconds);
    let start = Instant::now();
    let clients: Vec<_> = (0..connections).map(|number| std::thread::spawn(move || client(address, number, end))).collect();
    let (mut latencies, mut failed) = (Vec::new(), 0u64);
    for client in clients {
        match client.join().map_err(|_| "a client ended early")? {
            Ok((own, refused)) => {
                latencies.extend(own);
                failed += refused;
            }
            Err(error) => {
                println!("a connection broke: {error}");
                failed += 1;
            }
        }
    }
    let took = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at =
        |share: f64| latencies.get(((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1))).copied().unwrap_or_default();
    let milliseconds = |latency: Duration| latency.as_secs_f64() * 1e3;
    println!(
        "{connections} connections: {:.0} lines/s, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, {} answered, {failed} failed",
        latencies.len() as f64 / took,
        milliseconds(at(0.5)),
        milliseconds(at(0.99)),
        milliseconds(at(0.999)),
        latencies.len()
    );
    Ok(())
}

/// The latencies of the requests that were answered, and how many were not.
fn client(address: SocketAddr, number: u64, end: Instant) -> Result<(Vec<Duration>, u64), Failure> {
    let mut kept = None;
    let (mut latencies, mut failed, mut count) = (Vec::new(), 0, 0u64);
    while Instant::now() < end {
        count += 1;
        let body = format!("{{\"text\": \"netstat -ano | findstr {number}{count:06}\"}}");
        let head = format!("POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        let sent = Instant::now();
        let mut reader = match kept.take() {
            Some(reader) => reader,
            None => connect(address)?,
        };
        reader.get_mut().write_all((head + &body).as_bytes())?;
        let (status, closes) = answer(&mut reader)?;
        match status {
            200 => latencies.push(sent.elapsed()),
            _ => failed += 1,
        }
        // Flask's own server closes after each answer.
        kept = (!closes).then_some(reader);
    }
    Ok((latencies, failed))
}

fn connect(address: SocketAddr) -> Result<BufReader<TcpStream>, Failure> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(BufReader::new(stream))
}

/// Reads an answer; gives its status, and whether the server closes the connection after it.
fn answer(reader: &mut BufReader<TcpStream>) -> Result<(u16, bool), Failure> {
    let (mut status, mut length, mut closes) = (0, 0usize, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err("the server closed the connection".into());
        }
        let line = line.trim().to_ascii_lowercase();
        if status == 0 {
            status = line.split(' ').nth(1).ok_or("no status")?.parse()?;
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        } else if line == "connection: close" {
            closes = true;
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((status, closes))
}

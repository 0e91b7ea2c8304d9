//! Encrypted connections, with the test authority of `data/`.
#![allow(clippy::unwrap_used)]

mod support;

use attackline_server::{Tls, TlsFiles};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{Running, start_encrypted};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Asks over TLS; gives the status line and the server's certificate.
fn ask(server: &Running, own: Option<&str>) -> std::io::Result<(String, Vec<u8>)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(data("authority.pem")).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = vec![CertificateDer::from_pem_file(data(&format!("{name}.pem"))).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(data(&format!("{name}.key"))).unwrap()).unwrap()
        }
    };
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, server.connect());
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut bytes = [0; 15];
    stream.read_exact(&mut bytes)?;
    let certificate = stream.conn.peer_certificates().unwrap()[0].to_vec();
    Ok((String::from_utf8_lossy(&bytes).into_owned(), certificate))
}

#[test]
fn certificates_are_read_again_while_the_server_answers() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { certificate: folder.path().join("own.pem"), key: folder.path().join("own.key"), client_authorities: None };
    let install = |name: &str| {
        std::fs::copy(data(&format!("{name}.pem")), &files.certificate).unwrap();
        std::fs::copy(data(&format!("{name}.key")), &files.key).unwrap();
    };
    install("server");
    let tls = Arc::new(Tls::load(files.clone()).unwrap());
    let server = start_encrypted(Arc::clone(&tls));
    let (status, first) = ask(&server, None).unwrap();
    assert_eq!(status, "HTTP/1.1 200 OK");
    install("renewed");
    assert_eq!(ask(&server, None).unwrap().1, first, "until it is told");
    tls.reload().unwrap();
    let renewed = ask(&server, None).unwrap().1;
    assert_ne!(renewed, first);
    std::fs::write(&files.key, "nothing").unwrap();
    assert!(tls.reload().unwrap_err().contains("own.key"));
    assert_eq!(ask(&server, None).unwrap().1, renewed, "what fails leaves what is");
    // Plain HTTP is refused, and costs nobody else anything.
    let mut plain = TcpStream::connect(server.address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes);
    assert!(!bytes.starts_with(b"HTTP"));
    ask(&server, None).unwrap();
}

#[test]
fn clients_without_a_certificate_are_not_let_in_where_one_is_wanted() {
    let files = TlsFiles { certificate: data("server.pem"), key: data("server.key"), client_authorities: Some(data("authority.pem")) };
    let server = start_encrypted(Arc::new(Tls::load(files).unwrap()));
    assert!(ask(&server, None).is_err());
    assert!(ask(&server, Some("server")).is_err(), "a certificate for servers is none for clients");
    assert_eq!(ask(&server, Some("client")).unwrap().0, "HTTP/1.1 200 OK");
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let files = |certificate: &str, key: &str| TlsFiles { certificate: data(certificate), key: data(key), client_authorities: None };
    for (files, part) in [
        (files("none.pem", "server.key"), "none.pem"),
        (files("server.pem", "none.key"), "none.key"),
        (files("server.key", "server.key"), "no certificate"),
        (files("server.pem", "client.key"), "server.pem and"),
    ] {
        let error = Tls::load(files).err().unwrap();
        assert!(error.contains(part), "{error}");
    }
}

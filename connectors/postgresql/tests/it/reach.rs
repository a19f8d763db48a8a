//! How a server is reached: its certificate, and a line that breaks.

use std::time::{Duration, Instant};

use acceptance_tests::{
    line::{Break, Line},
    servers::PostgreSql,
};
use connector::{Change, Outcome, Refusal, Want};
use data_encoding::BASE64;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::world::{connect, connect_to, new, object, scopes, server};

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[tokio::test]
async fn a_server_is_believed_by_its_certificate_alone() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let db = PostgreSql::with_tls(
        &pem("CERTIFICATE", certificate.der()),
        &pem("PRIVATE KEY", &key.serialize_der()),
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, pem("CERTIFICATE", authority.der())).unwrap();
    let secured = format!("{}?sslmode=require", db.address());
    let at = |address: &str, ca_file| {
        connect_to(address, ca_file, "postgres", &db.password, &|transport| transport)
    };
    let known = at(&secured, Some(ca_file.clone()));
    known.tenant().await.unwrap();
    // Another name than the certificate's, and nobody who vouches for it.
    let elsewhere = secured.replace("127.0.0.1", "localhost");
    for (address, ca_file) in [(&elsewhere, Some(ca_file)), (&secured, None)] {
        let said = at(address, ca_file).tenant().await.unwrap_err();
        assert_eq!(said.outcome(), Outcome::NotSent, "{said}");
        assert!(said.to_string().contains("certificate"), "{said}");
        let untrusted = matches!(said, connector::Error::Untrusted { .. });
        assert_eq!(untrusted, address == &secured, "{said}");
    }
    // Over TLS our sign-in is seen to be encrypted by the server itself.
    let count = "select count(*) > 0 from pg_stat_ssl s join pg_stat_activity a using (pid) \
                 where s.ssl and a.application_name = 'nhi'";
    assert_eq!(db.by_hand(count).unwrap(), ["t"]);
}

#[tokio::test]
async fn a_line_that_breaks_leaves_a_change_ambiguous_and_a_look_is_repeated() {
    let db = server();
    let line = Line::to(db.port).unwrap();
    let address = format!("postgresql://127.0.0.1:{}/postgres", line.port);
    let connector = connect_to(&address, None, "postgres", &db.password, &|transport| transport);
    let made = connector.create(&new("broken")).await.unwrap();
    let bot = object("broken", Some(&made.vendor_id));
    let change = Change { scopes: Some(scopes(&["role/readers"])), ..Change::default() };
    for (at, done) in [(Break::Before, false), (Break::After, true)] {
        line.cut("GRANT \"readers\"", at);
        let said = connector.modify(&bot, &change).await.unwrap_err();
        assert_eq!(said.outcome(), Outcome::Ambiguous, "{said}");
        let now = connector.read(&bot, Want::DEED).await.unwrap().unwrap();
        assert_eq!(!now.scopes.is_empty(), done, "{at:?}");
    }
    // A create that was done is made, whatever became of its answer.
    line.cut("CREATE ROLE", Break::After);
    let made = connector.create(&new("answerless")).await.unwrap();
    assert_eq!(made.record, Some(new("answerless").record));
}

#[tokio::test]
async fn what_somebody_else_holds_is_not_waited_for_without_end() {
    let db = server();
    let connector = connect(db, "postgres", &db.password, &|transport| transport);
    let made = connector.create(&new("locked")).await.unwrap();
    let bot = object("locked", Some(&made.vendor_id));
    let (port, password) = (db.port.to_string(), db.password.clone());
    let sql = "begin; alter role locked connection limit 3; select pg_sleep(60)";
    let mut holder = std::process::Command::new("psql")
        .args(["-X", "-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-c", sql])
        .env("PGPASSWORD", password)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    let change = Change { enabled: Some(false), ..Change::default() };
    let said = connector.modify(&bot, &change).await.unwrap_err();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(said.refusal(), Some(Refusal::Conflict), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
